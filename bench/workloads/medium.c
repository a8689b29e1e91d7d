/*
 * Random replacement of blocks of 1 to 32 KiB: network buffers, pages of files, compressed records.
 * This is where size classes end in most allocators. Punishes coarse classes, whole pages for small
 * remainders, and going to the shared heap for each block.
 */
#include "pool.h"

enum { BLOCKS = 4000, REPLACEMENTS = 4500000 };

static size_t medium_size(struct rng *rng) {
    return rng_log_between(rng, KIB, 32 * KIB);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct pool pool = pool_make(BLOCKS, &rng, medium_size);
    pool_replace(&pool, scaled(&bench, REPLACEMENTS), &rng, medium_size);
    pool_drop(&pool);
    return 0;
}
