/*
 * Each thread replaces objects of its own at random and shares nothing: what should scale with the
 * cores for any allocator. The work is divided among --threads. Punishes common locks, shared cache
 * lines, and per-thread heaps that cost much when there are more threads than cores.
 */
#include "pool.h"

enum { REPLACEMENTS = 25000000, OBJECTS = 60000 };

static void *run(void *argument) {
    struct worker *worker = argument;
    unsigned threads = worker->bench->threads;
    size_t n = scaled(worker->bench, REPLACEMENTS) / threads;
    struct pool pool = pool_make(OBJECTS / threads + 1, &worker->rng, rng_program_size);
    pool_replace(&pool, n, &worker->rng, rng_program_size);
    pool_drop(&pool);
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    run_workers(&bench, run, NULL);
    return 0;
}
