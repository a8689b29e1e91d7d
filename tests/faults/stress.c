/*
 * Many operations of several threads while system calls fail at random. To repeat a failure, run it
 * with the same numbers; threads make it only likely.
 *
 *     stress PER_THOUSAND OPERATIONS [SEED]
 *
 * Generations of threads allocate, resize and free blocks of all sizes, swap them with one another
 * and trim, also as signal handlers do. An allocation may fail; but every byte of every block is verified when it is resized or
 * freed, and in the end nothing is lost.
 */
#include "faults.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "goalloc.h"
#include "support.h"

enum { THREADS = 4, GENERATIONS = 10, OWN = 64, SHARED = 64, LARGEST_LOG = 21 };

static struct block shared[SHARED];
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long operations;
static uint64_t seed = 1;
static unsigned generation;

/* Half of them up to 256 bytes, one in a hundred above 64 KiB. */
static size_t random_size(uint64_t *random) {
    size_t kind = random_below(random, 100);
    unsigned log = kind < 50 ? 8 : kind < 90 ? 12 : kind < 99 ? 16 : LARGEST_LOG;
    return random_below(random, (size_t)1 << log);
}

static struct block new_block(uint64_t *random) {
    size_t size = random_size(random);
    unsigned id = (unsigned)random_next(random);
    switch (random_below(random, 8)) {
    case 0:
        return block_zeroed(size, id);
    case 1:
        return block_aligned((size_t)8 << random_below(random, 12), size, id);
    default:
        return block_new(size, id);
    }
}

static void exchange(struct block *own, uint64_t *random) {
    struct block *other = &shared[random_below(random, SHARED)], before = *own;
    pthread_mutex_lock(&shared_mutex);
    *own = *other;
    *other = before;
    pthread_mutex_unlock(&shared_mutex);
}

static void use_emergency(struct block *own, uint64_t *random) {
    begin_interruption();
    block_free(own);
    *own = new_block(random);
    end_interruption();
}

static void step(struct block *own, uint64_t *random) {
    size_t kind = random_below(random, 1000);
    if (kind < 5) {
        goalloc_trim(random_below(random, (size_t)1 << 20));
    } else if (kind < 10) {
        use_emergency(own, random);
    } else if (kind < 150) {
        exchange(own, random);
    } else if (own->address == NULL) {
        *own = new_block(random);
    } else if (kind < 400) {
        block_resize(own, random_size(random) + 1);
    } else {
        block_free(own);
    }
}

static void work(unsigned index) {
    struct block own[OWN] = {{.address = NULL}};
    uint64_t random = seed * 1000003 + generation * 101 + index + 1;
    for (unsigned long i = 0; i < operations / GENERATIONS / THREADS; i++) {
        step(&own[random_below(&random, OWN)], &random);
    }
    for (unsigned i = 0; i < OWN; i++) {
        block_free(&own[i]);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3 || argc == 4);
    operations = strtoul(argv[2], NULL, 10);
    seed = argc == 4 ? strtoull(argv[3], NULL, 10) : seed;
    faults_start();
    struct block first = block_new(1, 1); /* with few calls that succeed, no heap ever starts */
    faults_random((unsigned)strtoul(argv[1], NULL, 10));
    for (; generation < GENERATIONS; generation++) {
        run_threads(THREADS, work);
    }
    unsigned long injected = faults_injected(), calls = faults_calls();
    for (unsigned i = 0; i < SHARED; i++) {
        block_free(&shared[i]);
    }
    block_free(&first);
    faults_none();
    check_heap_is_whole();
    CHECK(injected > 0);
    printf("stress: %lu operations, %lu of %lu system calls failed, and %lu allocations\n",
           operations, injected, calls, block_failures());
    return 0;
}
