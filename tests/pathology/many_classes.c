/*
 * 64 threads that hold one object of each of 64 sizes: pools of workers of which each has done a
 * bit of everything. Heaps of their own cost such threads a page, or a span of 64 KiB and more, for
 * each size that they ever used. A size may cost a thread the object and, on average, less than a
 * page beside it.
 */
#include <stdio.h>

#include "pathology.h"

#define THREADS 64
#define SIZES 64
#define STEP 128
#define ALLOWED_BESIDE ((size_t)THREADS * SIZES * 4 * KIB)

static pthread_barrier_t started;
static pthread_barrier_t allocated;
static size_t before, grown;

static size_t size_of(size_t i) {
    return (i + 1) * STEP;
}

static void hold_one_of_each(size_t index) {
    void *held[SIZES];
    pthread_barrier_wait(&started);
    if (index == 0) {
        before = rollup("Rss");
    }
    pthread_barrier_wait(&started);
    for (size_t i = 0; i < SIZES; i++) {
        held[i] = touched(size_of(i));
    }
    pthread_barrier_wait(&allocated);
    if (index == 0) {
        grown = rollup("Rss") - before;
    }
    pthread_barrier_wait(&allocated);
    for (size_t i = 0; i < SIZES; i++) {
        free_touched(held[i], size_of(i));
    }
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    pthread_barrier_init(&started, NULL, THREADS);
    pthread_barrier_init(&allocated, NULL, THREADS);
    run_threads(THREADS, hold_one_of_each);
    size_t bytes = THREADS * STEP * SIZES * (SIZES + 1) / 2;
    printf("%zu KiB for objects of %zu KiB\n", grown / KIB, bytes / KIB);
    fflush(stdout);
    CHECK(grown <= bytes + ALLOWED_BESIDE, "%zu KiB for objects of %zu KiB", grown / KIB,
          bytes / KIB);
    return 0;
}
