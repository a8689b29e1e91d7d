/*
 * A heap of 40 MB whose sizes shift, in eight phases, while random older objects go. In mode "size"
 * objects have 16 bytes at first, twice the size in each later phase, and some of each phase
 * survive the next ones: programs that load, then index, then serve. In mode "mix" they have 8
 * bytes to twice that size, and all are replaced four times in each phase: servers whose requests
 * change. Punishes memory that stays with one size class. Metrics: resident to live bytes at the
 * end of each phase, and the worst of them.
 */
#include "pool.h"

enum { PHASES = 8, LEAST = 16, TARGET = 40000000, MOST_OBJECTS = TARGET / LEAST, MIX_TURNOVERS = 4 };

static void drop_random(struct pool *pool, struct rng *rng) {
    void **slot = &pool->slot[rng_below(rng, pool->slots)];
    pool->bytes -= object_size(*slot);
    object_drop(*slot);
    *slot = pool->slot[--pool->slots];
}

/* Allocates `turnover` bytes in sizes between the two, and keeps the live bytes below the target. */
static void phase(struct pool *pool, struct rng *rng, size_t least, size_t most, size_t turnover) {
    for (size_t done = 0, size; done < turnover; done += size) {
        size = least + rng_below(rng, most - least + 1);
        while (pool->bytes + size > TARGET) {
            drop_random(pool, rng);
        }
        pool->slot[pool->slots++] = object_make(size);
        pool->bytes += size;
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.mode = "size"});
    bool mix = mode_is(&bench, "mix");
    require(mix || mode_is(&bench, "size"), "use this --mode");
    struct rng rng = rng_make(bench.seed, 0);
    struct pool pool = {table_make(MOST_OBJECTS + 1, sizeof(void *)), 0, 0};
    size_t before = rss_exact();
    size_t more = scaled(&bench, mix ? MIX_TURNOVERS * (size_t)TARGET : TARGET / 2);
    double worst = 0;
    for (unsigned i = 0; i < PHASES; i++) {
        char name[32];
        size_t size = (size_t)LEAST << i;
        if (mix) {
            phase(&pool, &rng, sizeof(struct object), 2 * size, more);
        } else {
            phase(&pool, &rng, size, size, i == 0 ? TARGET : TARGET + more);
        }
        double ratio = (double)(rss_exact() - before) / (double)pool.bytes;
        snprintf(name, sizeof name, "rss_to_live_%u", LEAST << i);
        metric(name, ratio, "ratio");
        worst = ratio > worst ? ratio : worst;
    }
    metric("rss_to_live", worst, "ratio");
    pool_drop(&pool);
    return 0;
}
