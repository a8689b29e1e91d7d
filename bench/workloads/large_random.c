/*
 * Blocks of 32 KiB to 25 MiB, allocated, used in part and freed in random order: images, network
 * buffers, columns of a table. Punishes a system call for each block, page faults on memory that
 * was just given back, and holes that nothing fits into.
 */
#include "bench.h"

enum { SLOTS = 64, STEPS = 60000, PAGES_TOUCHED = 16 };

struct block {
    unsigned char *bytes;
    size_t size;
    size_t step; /* between the bytes that are used */
    unsigned char value;
};

static void drop(struct block *block) {
    for (size_t i = 0; block->bytes != NULL && i < block->size; i += block->step) {
        CHECK(block->bytes[i] == block->value);
    }
    free(block->bytes);
}

static struct block make(struct rng *rng) {
    struct block block;
    block.size = rng_log_between(rng, 32 * KIB, 25 * MIB);
    block.step = block.size / PAGES_TOUCHED + 1;
    block.value = (unsigned char)rng_next(rng);
    block.bytes = need(malloc(block.size));
    for (size_t i = 0; i < block.size; i += block.step) {
        block.bytes[i] = block.value;
    }
    return block;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct block blocks[SLOTS] = {{0}};
    for (size_t i = scaled(&bench, STEPS); i > 0; i--) {
        struct block *block = &blocks[rng_below(&rng, SLOTS)];
        drop(block);
        *block = make(&rng);
    }
    for (int i = 0; i < SLOTS; i++) {
        drop(&blocks[i]);
    }
    return 0;
}
