/*
 * Aligned blocks by every call there is, from 16 bytes to 2 MiB of alignment, the smaller ones more
 * often, with sizes below and above it: vectors, direct I/O, huge pages. Punishes an alignment that
 * is bought with the size of the block, and a free that has to search for the block's beginning.
 */
#include <malloc.h>

#include "bench.h"

enum { SLOTS = 4000, STEPS = 5000000, LEAST_SHIFT = 4, MOST_SHIFT = 21 };

struct block {
    unsigned char *bytes;
    size_t size;
    unsigned char value;
};

static size_t random_align(struct rng *rng) {
    unsigned shift = LEAST_SHIFT + (unsigned)__builtin_ctzll(rng_next(rng) | UINT64_C(1) << 40);
    return (size_t)1 << (shift < MOST_SHIFT ? shift : MOST_SHIFT);
}

static void *allocate(size_t align, size_t size, size_t call) {
    void *bytes;
    switch (call) {
    case 0:
        return memalign(align, size);
    case 1:
        return aligned_alloc(align, (size + align - 1) / align * align);
    default:
        return posix_memalign(&bytes, align, size) == 0 ? bytes : NULL;
    }
}

static struct block make(struct rng *rng) {
    size_t align = random_align(rng);
    struct block block = {.size = rng_between(rng, align / 4 + 1, 2 * align + 64)};
    block.value = (unsigned char)block.size;
    block.bytes = need(allocate(align, block.size, rng_below(rng, 3)));
    CHECK((uintptr_t)block.bytes % align == 0);
    touch(block.bytes, block.size, block.value);
    return block;
}

static void drop(struct block *block) {
    if (block->bytes != NULL) {
        check_touched(block->bytes, block->size, block->value);
        free(block->bytes);
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct block *blocks = table_make(SLOTS, sizeof *blocks);
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
