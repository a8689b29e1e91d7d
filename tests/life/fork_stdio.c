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
#define PAUSE_US 100000

static atomic_bool stop;
static atomic_bool locked;
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

static void *begin_under_lock(void *arg) {
    flockfile(shared);
    atomic_store(&locked, true);
    usleep(2 * PAUSE_US);
    free(life_block(100));
    funlockfile(shared);
    return arg;
}

static void *flush_once(void *arg) {
    fflush(NULL);
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

static void fork_and_wait(void) {
    pid_t child = fork();
    if (child == 0) {
        in_child();
    }
    life_wait(child);
}

/*
 * The first block that a thread allocates, while it holds the lock of a stream. Another thread
 * flushes all: it holds the lock of the list and waits for the stream. This one is in fork: it
 * holds what fork takes first, and waits for the list. The block must need nothing of that.
 */
static void fork_before_first_block(void) {
    pthread_t holder;
    pthread_t flusher;
    CHECK(pthread_create(&holder, NULL, begin_under_lock, NULL) == 0, "no thread");
    while (!atomic_load(&locked)) {
        usleep(1000);
    }
    CHECK(pthread_create(&flusher, NULL, flush_once, NULL) == 0, "no thread");
    usleep(PAUSE_US);
    fork_and_wait();
    pthread_join(holder, NULL);
    pthread_join(flusher, NULL);
}

static void fork_while_all_allocate(void) {
    void *(*const bodies[])(void *) = {open_and_close, flush_all, print_shared, write_to_cookie};
    pthread_t threads[COUNT_OF(bodies)];
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        CHECK(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0, "no thread");
    }
    for (int i = 0; i < FORKS; i++) {
        fork_and_wait();
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void) {
    life_require_goalloc();
    shared = fopen("/dev/null", "w");
    CHECK(shared != NULL, "fopen failed");
    fork_before_first_block();
    fork_while_all_allocate();
    fclose(shared);
    return 0;
}
