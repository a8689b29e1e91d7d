/*
 * A thousand zeroed blocks of a gigabyte, four alive at a time, of which one page is written:
 * sparse tables, bitmaps, arenas of other runtimes. Punishes writing zeros to fresh memory, and
 * keeping freed memory in a way that has it cleared by hand when it is used again.
 */
#include "bench.h"

enum { BLOCKS = 1000, ALIVE = 4, SAMPLES = 16 };

struct block {
    unsigned char *bytes;
    unsigned char *page; /* the one that was written */
};

static struct block make(struct rng *rng) {
    struct block block = {need(calloc(GIB / 16, 16)), NULL};
    for (int i = 0; i < SAMPLES; i++) {
        CHECK(block.bytes[rng_below(rng, GIB)] == 0);
    }
    block.page = block.bytes + rng_below(rng, GIB / OS_PAGE) * OS_PAGE;
    memset(block.page, 1, OS_PAGE);
    return block;
}

static void drop(struct block block) {
    CHECK(block.page == NULL || (block.page[0] == 1 && block.page[OS_PAGE - 1] == 1));
    free(block.bytes);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct block block[ALIVE] = {{NULL, NULL}};
    for (size_t i = scaled(&bench, BLOCKS); i > 0; i--) {
        drop(block[i % ALIVE]);
        block[i % ALIVE] = make(&rng);
    }
    for (int i = 0; i < ALIVE; i++) {
        drop(block[i]);
    }
    return 0;
}
