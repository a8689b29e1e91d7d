/*
 * A thousand threads that did one malloc(1000) each and then wait: each may cost at most 8 KiB
 * more than the same thread without that call.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

#define THREADS 1000
#define ALLOWED_BYTES (8 * KIB)
#define STACK_BYTES (256 * KIB)
#define TOUCHED_STACK (16 * KIB)

static pthread_barrier_t started;
static pthread_barrier_t may_allocate;
static pthread_barrier_t allocated;
static pthread_barrier_t may_end;

/* So that the stack that malloc uses is resident before the first measurement. */
static void touch_stack(void) {
    char bytes[TOUCHED_STACK];
    memset(bytes, 1, sizeof(bytes));
    life_keep(bytes);
}

static void *allocate_once(void *arg) {
    touch_stack();
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&may_allocate);
    void *block = life_block(1000);
    pthread_barrier_wait(&allocated);
    pthread_barrier_wait(&may_end);
    free(block);
    return arg;
}

static void start_threads(pthread_t *threads) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0, "cannot set the stack's size");
    for (size_t i = 0; i < THREADS; i++) {
        int error = pthread_create(&threads[i], &attributes, allocate_once, NULL);
        CHECK(error == 0, "thread %zu: %s", i, strerror(error));
    }
    pthread_attr_destroy(&attributes);
}

int main(void) {
    life_require_goalloc();
    pthread_barrier_t *const barriers[] = {&started, &may_allocate, &allocated, &may_end};
    for (size_t i = 0; i < COUNT_OF(barriers); i++) {
        pthread_barrier_init(barriers[i], NULL, THREADS + 1);
    }
    static pthread_t threads[THREADS];
    start_threads(threads);
    pthread_barrier_wait(&started);
    size_t before = life_resident();
    pthread_barrier_wait(&may_allocate);
    pthread_barrier_wait(&allocated);
    size_t grown = life_resident() - before;
    pthread_barrier_wait(&may_end);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%zu bytes a thread\n", grown / THREADS);
    CHECK(grown <= THREADS * ALLOWED_BYTES, "%zu bytes a thread", grown / THREADS);
    return 0;
}
