/*
 * A fully static program over libgoalloc.a: it allocates, forks, and starts threads that do so
 * too, and no second malloc is linked in.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <goalloc.h>

#include "life.h"

#define THREADS 8
#define FORKS 50

static void *churn(void *arg) {
    for (int i = 0; i < 100; i++) {
        life_exercise_heap();
    }
    return arg;
}

static size_t allocated(void) {
    struct goalloc_stats stats;
    goalloc_get_stats(&stats);
    return stats.allocated;
}

/* Functions of the C library that allocate inside must end up in the same heap. */
static void check_that_libc_uses_goalloc(void) {
    size_t before = allocated();
    char *copy = strdup("text that strdup copies");
    CHECK(copy != NULL && allocated() > before, "strdup does not use goalloc");
    free(copy);
    CHECK(allocated() == before, "free is not goalloc's");
    char *text = NULL;
    CHECK(asprintf(&text, "%5000d", 7) == 5000, "asprintf failed");
    CHECK(malloc_usable_size(text) >= 5001, "asprintf's block is too small");
    free(text);
}

int main(void) {
    check_that_libc_uses_goalloc();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0, "no thread");
    }
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            life_enter_child();
            life_exercise_heap();
            exit(0);
        }
        life_wait(child);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "cannot join");
    }
    life_exercise_heap();
    return 0;
}
