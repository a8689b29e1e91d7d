/*
 * A program with a bit of everything (threads, forks, stdio, mappings, dlsym), run with other
 * preloaded libraries beside goalloc. The environment names what those libraries must have done:
 * LIFE_INTERPOSER that interposer_calls() counts, LIFE_YEAR the year that time() must give.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "life.h"

#define ROUNDS 50
#define THREADS 4

static void *churn(void *arg) {
    for (int i = 0; i < 20; i++) {
        life_exercise_heap();
    }
    return arg;
}

static void use_threads(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0, "no thread");
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "cannot join");
    }
}

static void use_fork(void) {
    pid_t child = fork();
    if (child == 0) {
        life_enter_child();
        life_exercise_heap();
        exit(0);
    }
    life_wait(child);
}

static void use_mappings(void) {
    char *map = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED, "mmap failed");
    map[99999] = 1;
    CHECK(munmap(map, 100000) == 0, "munmap failed");
}

static void use_libc(void) {
    CHECK(dlsym(RTLD_DEFAULT, "there_is_no_such_name") == NULL && dlerror() != NULL, "dlsym");
    FILE *file = tmpfile();
    CHECK(file != NULL, "tmpfile failed");
    fprintf(file, "%5000d\n", 1);
    rewind(file);
    char *line = NULL;
    size_t capacity = 0;
    CHECK(getline(&line, &capacity, file) == 5001, "getline failed");
    free(line);
    fclose(file);
}

static void check_interposer(void) {
    if (getenv("LIFE_INTERPOSER") != NULL) {
        unsigned long (*calls)(void) =
            (unsigned long (*)(void))dlsym(RTLD_DEFAULT, "interposer_calls");
        CHECK(calls != NULL && calls() > 0, "the interposer was not called");
    }
    const char *year = getenv("LIFE_YEAR");
    if (year != NULL) {
        time_t now = time(NULL);
        struct tm *calendar = gmtime(&now);
        CHECK(calendar->tm_year + 1900 == atoi(year), "the year is %d", calendar->tm_year + 1900);
    }
}

int main(void) {
    CHECK(dlsym(RTLD_DEFAULT, "goalloc_version") != NULL, "goalloc is not in this process");
    for (int i = 0; i < ROUNDS; i++) {
        use_mappings();
        use_libc();
        use_fork();
        use_threads();
    }
    check_interposer();
    return 0;
}
