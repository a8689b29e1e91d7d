/*
 * Many threads allocate objects of one size, in batches larger than any thread's cache, and free
 * batches that other threads made: all of it goes through what threads share for that size. An
 * allocator whose central lock spins, yields or is handed over badly takes ten times as long and
 * more for the same work:
 *
 *     shared_class processors       on all processors
 *     shared_class one_processor    on one, where a spinning thread keeps the lock's owner waiting
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define MOST 64
#define PLACES 4
#define OBJECTS 2000 /* of a batch; 64 threads' caches hold fewer each */
#define SIZE 64
#define WORK 1024 /* batches of all threads together */
#define ROUNDS 4
#define ALLOWED_RATIO 4

struct batch {
    void *objects[OBJECTS];
};

static struct batch batches[MOST + PLACES];
static _Atomic(struct batch *) places[PLACES];
static size_t threads;

static void fill(struct batch *batch) {
    for (size_t i = 0; i < OBJECTS; i++) {
        uintptr_t *object = malloc(SIZE);
        CHECK(object != NULL, "malloc failed");
        *object = (uintptr_t)object;
        batch->objects[i] = object;
    }
}

static void empty(struct batch *batch) {
    for (size_t i = 0; i < OBJECTS; i++) {
        uintptr_t *object = batch->objects[i];
        CHECK(object == NULL || *object == (uintptr_t)object, "an object changed");
        free(object);
        batch->objects[i] = NULL;
    }
}

/* What one thread leaves at a place, another one takes. */
static void run_share(size_t index) {
    struct batch *batch = &batches[PLACES + index];
    for (size_t n = 0; n < WORK / threads; n++) {
        fill(batch);
        batch = atomic_exchange(&places[(index + n) % PLACES], batch);
        empty(batch);
    }
    empty(batch);
}

/* The time that the same work takes with so many threads. */
static uint64_t time_with(size_t count) {
    threads = count;
    for (size_t i = 0; i < PLACES; i++) {
        places[i] = &batches[i];
    }
    uint64_t start = now_ns();
    run_threads(count, run_share);
    uint64_t time = now_ns() - start;
    for (size_t i = 0; i < COUNT_OF(batches); i++) {
        empty(&batches[i]);
    }
    return time;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: shared_class processors|one_processor");
    life_require_goalloc();
    if (strcmp(argv[1], "one_processor") == 0) {
        use_one_processor();
    }
    static const size_t counts[] = {1, 2, 8, MOST};
    uint64_t times[COUNT_OF(counts)] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT_OF(counts); i++) {
            times[i] = least(times[i], time_with(counts[i]));
        }
    }
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        printf("%zu threads: %.1f ms\n", counts[i], (double)times[i] / NS_PER_MS);
    }
    fflush(stdout);
    for (size_t i = 1; i < COUNT_OF(counts); i++) {
        CHECK(times[i] <= ALLOWED_RATIO * times[0], "%zu threads take %.1f times as long as one",
              counts[i], (double)times[i] / (double)times[0]);
    }
    return 0;
}
