/*
 * 64 threads are released at once and make their first allocations. Where these initialise the
 * thread's heap under one lock, the threads queue for it, and the first call of most of them takes
 * as long as those of all before it. The median of the threads' times is compared with that of
 * threads that start one after the other: it does not move when a few of them lose the processor.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define THREADS 64
#define ROUNDS 6
#define ALLOWED_RATIO 8

static pthread_barrier_t released;
static uint64_t times[THREADS];

static void allocate_first(size_t index) {
    static const size_t sizes[] = {16, 48, 100, 300, 1000, 3000};
    void *blocks[COUNT_OF(sizes)];
    uint64_t start = now_ns();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        blocks[i] = touched(sizes[i]);
    }
    times[index] = now_ns() - start;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        free_touched(blocks[i], sizes[i]);
    }
}

static void allocate_together(size_t index) {
    pthread_barrier_wait(&released);
    allocate_first(index);
}

static size_t next_alone;

static void allocate_alone(size_t index) {
    (void)index;
    allocate_first(next_alone);
}

static int compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t median(void) {
    qsort(times, THREADS, sizeof(times[0]), compare);
    return times[THREADS / 2];
}

static uint64_t time_together(void) {
    run_threads(THREADS, allocate_together);
    return median();
}

static uint64_t time_alone(void) {
    for (next_alone = 0; next_alone < THREADS; next_alone++) {
        run_threads(1, allocate_alone);
    }
    return median();
}

int main(void) {
    life_require_goalloc();
    pthread_barrier_init(&released, NULL, THREADS);
    uint64_t together = UINT64_MAX, alone = UINT64_MAX;
    time_together(); /* afterwards, the memory of 64 caches is there */
    for (int round = 0; round < ROUNDS; round++) {
        together = least(together, time_together());
        alone = least(alone, time_alone());
    }
    printf("first calls: %.1f us alone, %.1f us together\n", (double)alone / 1000,
           (double)together / 1000);
    fflush(stdout);
    CHECK(together <= ALLOWED_RATIO * alone, "%.1f times as long",
          (double)together / (double)alone);
    return 0;
}
