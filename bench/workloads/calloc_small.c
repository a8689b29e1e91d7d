/*
 * Small zeroed blocks, written to and replaced at random: C programs that allocate their structs
 * with calloc. Punishes a calloc that is a slow path of its own; each block is checked to be zero,
 * which recycled memory is not by itself.
 */
#include "bench.h"

enum { SLOTS = 20000, STEPS = 13000000 };

static uint64_t *block[SLOTS];
static size_t words[SLOTS];

static uint64_t *make(size_t count) {
    uint64_t *zeroed = need(calloc(count, sizeof *zeroed));
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum |= zeroed[i];
        zeroed[i] = UINT64_MAX;
    }
    CHECK(sum == 0);
    return zeroed;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    for (size_t i = scaled(&bench, STEPS); i > 0; i--) {
        size_t slot = rng_below(&rng, SLOTS);
        CHECK(block[slot] == NULL || block[slot][words[slot] - 1] == UINT64_MAX);
        free(block[slot]);
        words[slot] = rng_log_between(&rng, 1, 127);
        block[slot] = make(words[slot]);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        free(block[i]);
    }
    return 0;
}
