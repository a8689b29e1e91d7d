/*
 * What C++ programs do to a heap: nodes of a few fixed small sizes, strings beyond the inline
 * buffer (16 bytes and up), vectors that double by allocate, copy, free, and shared control blocks
 * that outlive the rest. 70 % of the requests are of 64 bytes or less; most live shortly. Punishes
 * allocators that are good at one size or at one lifetime.
 */
#include "pool.h"

enum { REQUESTS = 1500000, VECTOR_MOST = 2048, LONG_LIVED = 60000, NODES = 12 };

static size_t node_size(struct rng *rng) {
    static const unsigned char sizes[] = {16, 24, 32, 40, 48, 56, 64, 32};
    return sizes[rng_below(rng, sizeof sizes)];
}

static size_t string_size(struct rng *rng) {
    return rng_log_between(rng, 17, 511);
}

/* A vector of 8-byte elements to which a random number is appended. */
static void grow_vector(struct rng *rng) {
    size_t capacity = 4, n = rng_log_between(rng, 4, VECTOR_MOST);
    uint64_t *vector = need(malloc(capacity * sizeof *vector));
    for (size_t i = 0; i < n; i++) {
        if (i == capacity) {
            uint64_t *larger = need(malloc(2 * capacity * sizeof *larger));
            memcpy(larger, vector, capacity * sizeof *larger);
            free(vector);
            vector = larger;
            capacity *= 2;
        }
        vector[i] = i;
    }
    CHECK(vector[0] == 0 && vector[n / 2] == n / 2);
    free(vector);
}

/* One request: some nodes and strings that end with it, now and then a vector, and one object that
 * replaces an old one of the long-lived. */
static void serve(struct rng *rng, struct pool *long_lived) {
    void *node[NODES], *string[NODES / 4];
    for (int i = 0; i < NODES; i++) {
        node[i] = object_make(node_size(rng));
        if (i % 4 == 0) {
            string[i / 4] = object_make(string_size(rng));
        }
    }
    if (rng_below(rng, 8) == 0) {
        grow_vector(rng);
    }
    pool_replace(long_lived, 1, rng, rng_below(rng, 4) == 0 ? string_size : node_size);
    for (int i = 0; i < NODES; i++) {
        object_drop(node[i]);
        if (i % 4 == 0) {
            object_drop(string[i / 4]);
        }
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct pool long_lived = pool_make(LONG_LIVED, &rng, node_size);
    for (size_t i = scaled(&bench, REQUESTS); i > 0; i--) {
        serve(&rng, &long_lived);
    }
    pool_drop(&long_lived);
    return 0;
}
