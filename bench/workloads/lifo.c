/*
 * Last in, first out: a function allocates a few blocks of different sizes, calls deeper, and frees
 * them in reverse. Stands for parsers, temporary buffers and everything that is scoped. Punishes a
 * long fast path, and free lists that do not give back first what was freed last.
 */
#include "bench.h"

enum { DEPTH = 8, CALLS = 5500000 };

/* Two blocks a level: one small, one that grows with the depth. */
static void call(unsigned depth, uint64_t value) {
    uint64_t *small = need(malloc(16 + value % 4 * 16));
    uint64_t *large = need(malloc((size_t)64 << depth));
    *small = value;
    *large = ~value;
    if (value % DEPTH > depth) {
        call(depth + 1, value);
    }
    CHECK(*large == ~value);
    CHECK(*small == value);
    free(large);
    free(small);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    for (size_t i = scaled(&bench, CALLS); i > 0; i--) {
        call(0, rng_next(&rng) >> 8);
    }
    return 0;
}
