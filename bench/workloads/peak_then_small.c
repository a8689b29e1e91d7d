/*
 * A peak of 1 GB in small objects, freed in random order, then 10 MB that live on with a trickle of
 * operations: a server after a rush, an editor after a large file. Punishes memory that is kept for
 * ever. Metrics: resident memory at the peak, right after the frees, and two seconds later.
 */
#include "pool.h"

enum { TRICKLES = 200, REPLACED_EACH = 50 };

static const long pause_ns = 10000000;

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1, .live = GIB});
    struct rng rng = rng_make(bench.seed, 0);
    size_t steady = pool_slots(10 * MIB, rng_program_size);
    size_t rush = pool_slots(scaled(&bench, bench.live), rng_program_size);
    struct pool small = pool_make(steady, &rng, rng_program_size);
    struct pool peak = pool_make(rush, &rng, rng_program_size);
    metric("rss_at_peak", (double)(rss_exact() - rush * sizeof(void *)), "bytes");
    shuffle(&rng, peak.slot, peak.slots);
    pool_drop(&peak);
    metric("rss_after_free", (double)rss_exact(), "bytes");
    for (int i = 0; i < TRICKLES; i++) {
        sleep_ns(pause_ns);
        pool_replace(&small, REPLACED_EACH, &rng, rng_program_size);
    }
    metric("rss_after_idle", (double)rss_exact(), "bytes");
    pool_drop(&small);
    return 0;
}
