/*
 * How long single calls of malloc and free take, one by one: median, 99 %, 99.9 % and the worst. In
 * mode "quiet" the process does nothing else; in mode "loaded" another thread frees a gigabyte of
 * small and large blocks meanwhile, in step with the measured calls. Stands for servers with
 * deadlines, games and audio. Punishes bursts of work that one call does for many, system calls
 * under a lock, and locks that are held for long.
 */
#include <sched.h>
#include <stdatomic.h>

#include "histogram.h"
#include "pool.h"

enum { CALLS = 4000000, LIVE = 20000, PER_STEP = 1024 };

struct load {
    void **block;
    size_t blocks;
    size_t steps;
    _Atomic size_t progress; /* of the measured thread, in steps of PER_STEP calls */
};

/* Mostly small objects, most bytes in large blocks. */
static size_t load_size(struct rng *rng) {
    return rng_below(rng, 100) < 98 ? rng_log_between(rng, 64, 32 * KIB)
                                    : rng_log_between(rng, 64 * KIB, 4 * MIB);
}

/* Frees its share of the blocks for each step that the measured thread has made. */
static void *free_in_step(void *argument) {
    struct load *load = argument;
    for (size_t i = 0; i < load->blocks; i++) {
        size_t due = i * load->steps / load->blocks;
        while (atomic_load_explicit(&load->progress, memory_order_relaxed) < due) {
            sched_yield();
        }
        object_drop(load->block[i]);
    }
    return NULL;
}

static struct load make_load(size_t bytes, size_t steps, struct rng *rng) {
    size_t n = pool_slots(bytes, load_size);
    struct pool pool = pool_make(n, rng, load_size);
    shuffle(rng, pool.slot, n);
    return (struct load){.block = pool.slot, .blocks = n, .steps = steps};
}

/* The fence waits for the store to the last object: a miss of the cache there is not free's. */
static void measure(struct load *load, struct rng *rng, struct histogram *mallocs,
                    struct histogram *frees) {
    uint64_t **slot = table_make(LIVE, sizeof *slot);
    for (size_t call = 0; call < load->steps * PER_STEP; call++) {
        size_t i = rng_below(rng, LIVE), size = rng_program_size(rng);
        CHECK(slot[i] == NULL || *slot[i] == i);
        atomic_thread_fence(memory_order_seq_cst);
        uint64_t start = ticks();
        free(slot[i]);
        uint64_t freed = ticks();
        slot[i] = malloc(size);
        uint64_t end = ticks();
        *(uint64_t *)need(slot[i]) = i;
        histogram_add(frees, freed - start);
        histogram_add(mallocs, end - freed);
        atomic_store_explicit(&load->progress, call / PER_STEP, memory_order_relaxed);
    }
    atomic_store_explicit(&load->progress, load->steps, memory_order_relaxed);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.mode = "quiet", .live = GIB});
    bool loaded = mode_is(&bench, "loaded");
    require(loaded || mode_is(&bench, "quiet"), "use this --mode");
    struct rng rng = rng_make(bench.seed, 0);
    struct histogram *histograms = table_make(2, sizeof *histograms);
    struct load load = {.steps = scaled(&bench, CALLS) / PER_STEP + 1};
    pthread_t other;
    ticks_calibrate();
    if (loaded) {
        load = make_load(scaled(&bench, bench.live), load.steps, &rng);
        require(pthread_create(&other, NULL, free_in_step, &load) == 0, "start a thread");
    }
    measure(&load, &rng, &histograms[0], &histograms[1]);
    if (loaded) {
        pthread_join(other, NULL);
    }
    histogram_metrics(&histograms[0], "malloc");
    histogram_metrics(&histograms[1], "free");
    return 0;
}
