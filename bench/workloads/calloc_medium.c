/*
 * Zeroed blocks of 4 KiB to 1 MiB, written to the full and replaced at random: tables, matrices,
 * frames. Punishes giving memory back and faulting it in again for each, and clearing twice what
 * the system has cleared already.
 */
#include "bench.h"

enum { SLOTS = 100, STEPS = 20000 };

struct block {
    unsigned char *bytes;
    size_t size;
};

static struct block make(struct rng *rng) {
    size_t size = rng_log_between(rng, 4 * KIB, MIB);
    struct block block = {need(calloc(1, size)), size};
    for (size_t i = 0; i < size; i += 256) {
        CHECK(block.bytes[i] == 0);
    }
    CHECK(block.bytes[size - 1] == 0);
    memset(block.bytes, 0xff, size);
    return block;
}

static void drop(struct block block) {
    CHECK(block.bytes == NULL || (block.bytes[0] == 0xff && block.bytes[block.size - 1] == 0xff));
    free(block.bytes);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct block block[SLOTS] = {{0}};
    for (size_t i = scaled(&bench, STEPS); i > 0; i--) {
        size_t slot = rng_below(&rng, SLOTS);
        drop(block[slot]);
        block[slot] = make(&rng);
    }
    for (int i = 0; i < SLOTS; i++) {
        drop(block[i]);
    }
    return 0;
}
