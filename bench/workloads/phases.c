/*
 * A heap of 40 MB whose sizes shift, in eight phases, while random older objects go. In mode "size"
 * objects have 16 bytes at first, twice the size in each later phase, and some of each phase
 * survive the next ones: programs that load, then index, then serve. In mode "mix" they have 8
 * bytes to twice that size, and all are replaced four times in each phase: servers whose requests
 * change. In mode "share" it is three of four that have the size, and the fourth has 16 bytes to 2
 * KiB. Punishes memory that stays with one size class. Metrics: resident to live bytes at the end
 * of each phase, and the worst of them.
 */
#include "pool.h"

enum { PHASES = 8, LEAST = 16, MOST = LEAST << (PHASES - 1) };
enum { TARGET = 40000000, MOST_OBJECTS = TARGET / LEAST, TURNOVERS = 4 };

/* What sizes a phase has: between the two, but for one of `others` (0: none), which has any. */
struct sizes {
    size_t least;
    size_t most;
    size_t others;
};

static void drop_random(struct pool *pool, struct rng *rng) {
    void **slot = &pool->slot[rng_below(rng, pool->slots)];
    pool->bytes -= object_size(*slot);
    object_drop(*slot);
    *slot = pool->slot[--pool->slots];
}

static size_t draw(struct rng *rng, struct sizes sizes) {
    bool other = sizes.others > 0 && rng_below(rng, sizes.others) == 0;
    size_t least = other ? LEAST : sizes.least, most = other ? MOST : sizes.most;
    return least + rng_below(rng, most - least + 1);
}

/* Allocates `turnover` bytes, and keeps the live bytes below the target. */
static void phase(struct pool *pool, struct rng *rng, struct sizes sizes, size_t turnover) {
    for (size_t done = 0, size; done < turnover; done += size) {
        size = draw(rng, sizes);
        while (pool->bytes + size > TARGET) {
            drop_random(pool, rng);
        }
        pool->slot[pool->slots++] = object_make(size);
        pool->bytes += size;
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.mode = "size"});
    bool mix = mode_is(&bench, "mix"), share = mode_is(&bench, "share");
    require(mix || share || mode_is(&bench, "size"), "use this --mode");
    struct rng rng = rng_make(bench.seed, 0);
    struct pool pool = {table_make(MOST_OBJECTS + 1, sizeof(void *)), 0, 0};
    size_t before = rss_exact();
    size_t more = scaled(&bench, mix || share ? TURNOVERS * (size_t)TARGET : TARGET / 2);
    double worst = 0;
    for (unsigned i = 0; i < PHASES; i++) {
        char name[32];
        size_t size = (size_t)LEAST << i;
        if (mix) {
            phase(&pool, &rng, (struct sizes){sizeof(struct object), 2 * size, 0}, more);
        } else if (share) {
            phase(&pool, &rng, (struct sizes){size, size, 4}, more);
        } else {
            phase(&pool, &rng, (struct sizes){size, size, 0}, i == 0 ? TARGET : TARGET + more);
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
