/*
 * Batches of 50 to 10,000 objects of one size, freed in order, in reverse or shuffled: requests
 * that build a result and drop it, frames, transactions. Punishes thread caches that are emptied
 * and filled over and over at the border of their capacity, and free lists that lose their order.
 */
#include "bench.h"

enum { MOST = 10000, OBJECTS = 21000000 };

enum order { IN_ORDER, REVERSED, SHUFFLED, ORDERS };

static void *objects[MOST];

static void allocate(size_t n, size_t size) {
    for (size_t i = 0; i < n; i++) {
        uint64_t *object = need(malloc(size));
        *object = i ^ size;
        objects[i] = object;
    }
}

static void reverse(size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        void *other = objects[i];
        objects[i] = objects[n - 1 - i];
        objects[n - 1 - i] = other;
    }
}

static void drop(size_t n, size_t size) {
    uint64_t sum = 0, expected = 0;
    for (size_t i = 0; i < n; i++) {
        sum += *(uint64_t *)objects[i];
        expected += i ^ size;
        free(objects[i]);
    }
    CHECK(sum == expected);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    size_t left = scaled(&bench, OBJECTS);
    for (size_t round = 0; left > 0; round++) {
        size_t n = rng_log_between(&rng, 50, MOST), size = rng_log_between(&rng, 8, 512);
        n = n < left ? n : left;
        allocate(n, size);
        if (round % ORDERS == REVERSED) {
            reverse(n);
        } else if (round % ORDERS == SHUFFLED) {
            shuffle(&rng, objects, n);
        }
        drop(n, size);
        left -= n;
    }
    return 0;
}
