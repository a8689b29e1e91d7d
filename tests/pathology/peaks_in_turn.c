/*
 * The threads of a pool do a large job each, one after the other: 32 MiB are allocated and freed
 * again by 32 threads in turn. An allocator with a heap for each thread, or a few, keeps the peak
 * of every one of them; memory that one thread has freed must serve the next, but for what the
 * threads may cache.
 */
#include <stdio.h>

#include "pathology.h"

#define THREADS 32
#define ROUNDS 2
#define JOB (32 * MIB)
#define MOST 20000
#define CACHES (32 * MIB + THREADS * 512 * KIB) /* what the threads' caches may hold together */
#define ALLOWED (JOB / 2 * 3 + CACHES)

static void *blocks[MOST];
static size_t sizes[MOST];
static pthread_barrier_t turn_ends;

static void do_job(uint64_t *seed) {
    size_t count = 0;
    for (size_t bytes = 0; bytes < JOB && count < MOST; count++) {
        sizes[count] = random_size(seed, 64, 32 * KIB);
        bytes += sizes[count];
        blocks[count] = touched(sizes[count]);
    }
    for (size_t i = 0; i < count; i++) {
        free_touched(blocks[i], sizes[i]);
    }
}

static void take_turns(size_t index) {
    uint64_t seed = index + 1;
    for (size_t turn = 0; turn < ROUNDS * THREADS; turn++) {
        if (turn % THREADS == index) {
            do_job(&seed);
        }
        pthread_barrier_wait(&turn_ends);
    }
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    pthread_barrier_init(&turn_ends, NULL, THREADS);
    size_t before = rollup("Rss");
    run_threads(THREADS, take_turns);
    size_t grown = peak_resident() - before;
    printf("peak %zu KiB for jobs of %zu KiB\n", grown / KIB, JOB / KIB);
    fflush(stdout);
    CHECK(grown <= ALLOWED, "the peak is %zu KiB", grown / KIB);
    return 0;
}
