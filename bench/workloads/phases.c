/*
 * A heap of 40 MB whose sizes shift: eight phases, objects of 16 bytes at first, of twice the size
 * in each later phase, while random older objects go, so that some of each phase survive the next
 * ones. Stands for programs that load, then index, then serve. Punishes memory that stays with one
 * size class. Metrics: resident to live bytes at the end of each phase, and the worst of them.
 */
#include "pool.h"

enum { PHASES = 8, LEAST = 16, TARGET = 40000000, MOST_OBJECTS = TARGET / LEAST };

static void drop_random(struct pool *pool, struct rng *rng) {
    void **slot = &pool->slot[rng_below(rng, pool->slots)];
    pool->bytes -= object_size(*slot);
    object_drop(*slot);
    *slot = pool->slot[--pool->slots];
}

/* Allocates `turnover` bytes of this size, and keeps the live bytes below the target. */
static void phase(struct pool *pool, struct rng *rng, size_t size, size_t turnover) {
    for (size_t done = 0; done < turnover; done += size) {
        while (pool->bytes + size > TARGET) {
            drop_random(pool, rng);
        }
        pool->slot[pool->slots++] = object_make(size);
        pool->bytes += size;
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct pool pool = {table_make(MOST_OBJECTS + 1, sizeof(void *)), 0, 0};
    size_t before = rss_exact(), more = scaled(&bench, TARGET / 2);
    double worst = 0;
    for (unsigned i = 0; i < PHASES; i++) {
        char name[32];
        phase(&pool, &rng, (size_t)LEAST << i, i == 0 ? TARGET : TARGET + more);
        double ratio = (double)(rss_exact() - before) / (double)pool.bytes;
        snprintf(name, sizeof name, "rss_to_live_%u", LEAST << i);
        metric(name, ratio, "ratio");
        worst = ratio > worst ? ratio : worst;
    }
    metric("rss_to_live", worst, "ratio");
    pool_drop(&pool);
    return 0;
}
