/*
 * Forks while other threads hold stdio's locks and allocate. The C library takes the lock of its
 * list of streams in fork, and fflush(NULL) holds that lock while it calls write functions of
 * streams, which may allocate: if fork held the heap's locks first, each would wait for the other.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

#define FORKS 500

static atomic_bool stop;
static FILE *shared;

static bool running(void) {
    return !atomic_load_explicit(&stop, memory_order_relaxed);
}

static void *open_and_close(void *arg) {
    while (running()) {
        FILE *file = fopen("/dev/null", "w");
        CHECK(file != NULL, "fopen failed");
        fprintf(file, "%d %s", 42, "some text");
        CHECK(fclose(file) == 0, "fclose failed");
    }
    return arg;
}

static void *flush_all(void *arg) {
    while (running()) {
        fflush(NULL);
    }
    return arg;
}

static void *print_shared(void *arg) {
    while (running()) {
        fprintf(shared, "%*d\n", 3000, 7);
    }
    return arg;
}

/* The write function of a stream: runs under the stream's lock and under that of the list. */
static ssize_t allocating_write(void *cookie, const char *data, size_t size) {
    (void)cookie;
    (void)data;
    for (size_t n = 50; n < 200000; n *= 5) {
        free(life_block(n));
    }
    return (ssize_t)size;
}

static void *write_to_cookie(void *arg) {
    cookie_io_functions_t functions = {.write = allocating_write};
    while (running()) {
        FILE *file = fopencookie(NULL, "w", functions);
        CHECK(file != NULL, "fopencookie failed");
        for (int i = 0; i < 100; i++) {
            fputs("text that waits in the buffer until somebody flushes all", file);
        }
        CHECK(fclose(file) == 0, "fclose of a cookie stream failed");
    }
    return arg;
}

static void in_child(void) {
    life_enter_child();
    life_exercise_heap();
    FILE *file = fopen("/dev/null", "w");
    CHECK(file != NULL, "fopen failed in the child");
    fprintf(file, "%*d\n", 3000, 7);
    CHECK(fclose(file) == 0, "fclose failed in the child");
    _exit(0);
}

int main(void) {
    life_require_goalloc();
    void *(*const bodies[])(void *) = {open_and_close, flush_all, print_shared, write_to_cookie};
    pthread_t threads[COUNT_OF(bodies)];
    shared = fopen("/dev/null", "w");
    CHECK(shared != NULL, "fopen failed");
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        CHECK(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0, "no thread");
    }
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            in_child();
        }
        life_wait(child);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        pthread_join(threads[i], NULL);
    }
    fclose(shared);
    return 0;
}
