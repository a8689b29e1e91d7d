/*
 * A thousand zeroed blocks of a gigabyte, four alive at a time, of which one page is written:
 * sparse tables, bitmaps, arenas of other runtimes. Punishes writing zeros to fresh memory, and
 * keeping freed memory in a way that has it cleared by hand when it is used again.
 */
#include "bench.h"

enum { BLOCKS = 1000, ALIVE = 4, SAMPLES = 16 };

static unsigned char *make(struct rng *rng) {
    unsigned char *block = need(calloc(GIB / 16, 16));
    for (int i = 0; i < SAMPLES; i++) {
        CHECK(block[rng_below(rng, GIB)] == 0);
    }
    size_t page = rng_below(rng, GIB / OS_PAGE) * OS_PAGE;
    memset(block + page, 1, OS_PAGE);
    return block;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    unsigned char *block[ALIVE] = {NULL};
    for (size_t i = scaled(&bench, BLOCKS); i > 0; i--) {
        free(block[i % ALIVE]);
        block[i % ALIVE] = make(&rng);
    }
    for (int i = 0; i < ALIVE; i++) {
        free(block[i]);
    }
    return 0;
}
