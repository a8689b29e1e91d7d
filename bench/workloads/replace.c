/*
 * Random replacement: a live set of --live bytes of mixed sizes, from which a random object is
 * freed and another one allocated in its place, over and over. Stands for caches and interpreters
 * in their steady state. Punishes fragmentation, metadata that misses the processor's caches, and
 * a free whose cost grows with the heap.
 */
#include "pool.h"

enum { REPLACEMENTS = 12000000 };

/* A miss of all caches costs as much as ten small operations: fewer for a large set. */
static size_t replacements(const struct bench *bench) {
    size_t n = REPLACEMENTS;
    return scaled(bench, bench->live <= 64 * MIB ? n : bench->live <= 512 * MIB ? n / 2 : n / 8);
}

int main(int argc, char **argv) {
    struct bench bench =
        bench_arguments(argc, argv, (struct bench){.threads = 1, .live = 32 * MIB});
    struct rng rng = rng_make(bench.seed, 0);
    size_t n = replacements(&bench), before = rss_exact();
    struct pool pool = pool_make(pool_slots(bench.live, rng_program_size), &rng, rng_program_size);
    uint64_t start = now_ns();
    pool_replace(&pool, n, &rng, rng_program_size);
    uint64_t ns = now_ns() - start;
    size_t rss = rss_exact() - before - pool.slots * sizeof(void *);
    metric("replace", (double)ns / (double)n, "ns");
    metric("rss_to_live", (double)rss / (double)pool.bytes, "ratio");
    pool_drop(&pool);
    return 0;
}
