/*
 * Thousands of short threads, each of which frees the objects that an earlier one left behind and
 * leaves as many. An allocator that hands the heap of a thread that ends to another one, under a
 * lock or by a search through all abandoned heaps, gets slower with the number of threads that do
 * so at a time; 64 at a time may take at most four times as long as 2 at a time.
 */
#include <stdio.h>

#include "pathology.h"

#define LANES 64
#define OBJECTS 100
#define SIZE KIB
#define GENERATIONS 12
#define ROUNDS 4
#define ALLOWED_RATIO 4

static void *left[LANES][OBJECTS];
static size_t first_lane;

static void short_life(size_t index) {
    void **mine = left[first_lane + index];
    for (size_t i = 0; i < OBJECTS; i++) {
        void *older = mine[i];
        mine[i] = touched(SIZE);
        if (older != NULL) {
            free_touched(older, SIZE);
        }
    }
}

/* The lanes are the same in any case, and so is the number of threads. */
static uint64_t time_with(size_t at_a_time) {
    uint64_t start = now_ns();
    for (size_t n = 0; n < GENERATIONS; n++) {
        for (first_lane = 0; first_lane < LANES; first_lane += at_a_time) {
            run_threads(at_a_time, short_life);
        }
    }
    return now_ns() - start;
}

int main(void) {
    life_require_goalloc();
    uint64_t few = UINT64_MAX, many = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        few = least(few, time_with(2));
        many = least(many, time_with(LANES));
    }
    printf("2 at a time: %.1f ms, %d at a time: %.1f ms\n", (double)few / NS_PER_MS, LANES,
           (double)many / NS_PER_MS);
    fflush(stdout);
    CHECK(many <= ALLOWED_RATIO * few, "%.1f times as long", (double)many / (double)few);
    return 0;
}
