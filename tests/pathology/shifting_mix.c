/*
 * A heap of some 20 MB in which threads replace random objects without end, their own and others',
 * by sizes up to a limit that doubles when everything was replaced some times: from 32 bytes to 4
 * KiB. What is left of a size that is in use, but less and less, stays scattered over the spans of
 * its best time where a free object is always used again first, and adds up to four and a half
 * times the live bytes.
 *
 *     shifting_mix THREADS PERCENT    of the live bytes that the peak may have
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define LIVE ((size_t)20000000)
#define TURNOVERS 6
#define FIRST_LIMIT ((size_t)32)
#define LAST_LIMIT ((size_t)4096)
#define SMALLEST (sizeof(struct sized))

static _Atomic(struct sized *) objects[LIVE * 2 / FIRST_LIMIT];
static size_t threads;
static pthread_barrier_t step;

/* How many objects of SMALLEST to `limit` bytes make LIVE. */
static size_t slots_for(size_t limit) {
    return LIVE * 2 / (limit + SMALLEST);
}

static void replace(size_t slots, size_t limit, uint64_t *seed) {
    for (size_t i = TURNOVERS * slots / threads; i > 0; i--) {
        uint32_t size = (uint32_t)(SMALLEST + random_below(seed, limit - SMALLEST + 1));
        sized_drop(atomic_exchange(&objects[random_below(seed, slots)], sized_make(size)));
    }
}

/* What is beyond the slots of the next limit goes before that begins. */
static void run(size_t index) {
    uint64_t seed = index + 1;
    for (size_t limit = FIRST_LIMIT; limit <= LAST_LIMIT; limit *= 2) {
        replace(slots_for(limit), limit, &seed);
        pthread_barrier_wait(&step);
        for (size_t i = slots_for(2 * limit) + index; i < slots_for(limit); i += threads) {
            sized_drop(atomic_exchange(&objects[i], NULL));
        }
        pthread_barrier_wait(&step);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "THREADS PERCENT");
    threads = strtoul(argv[1], NULL, 10);
    size_t allowed = LIVE / 100 * strtoul(argv[2], NULL, 10);
    life_require_goalloc();
    avoid_huge_pages();
    pthread_barrier_init(&step, NULL, (unsigned)threads);
    size_t before = rollup("Rss");
    run_threads(threads, run);
    size_t grown = peak_resident() - before - sizeof objects;
    printf("peak %zu KiB for %zu KiB of objects\n", grown / KIB, LIVE / KIB);
    fflush(stdout);
    CHECK(grown <= allowed, "the peak is %zu KiB", grown / KIB);
    return 0;
}
