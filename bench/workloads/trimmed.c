/*
 * Strings that are put together piece by piece in buffers that double, and are cut to size by
 * realloc when they are complete; finished ones are replaced at random. Stands for key-value
 * stores, string builders, vectors that shrink to fit. Punishes a realloc that leaves a block as
 * large as it was, and one that is slow to make it smaller. All contents are verified.
 */
#include "bench.h"

enum { STRINGS = 40000, BUILT = 1600000, FIRST = 32, PIECE = 48 };

struct string {
    unsigned char *bytes;
    size_t length;
};

static struct string build(struct rng *rng) {
    size_t length = rng_log_between(rng, 40, 4 * KIB), capacity = FIRST, done = 0;
    unsigned char *bytes = need(malloc(capacity));
    while (done < length) {
        size_t piece = length - done < PIECE ? length - done : PIECE;
        if (done + piece > capacity) {
            capacity *= 2;
            capacity = capacity < done + piece ? done + piece : capacity;
            bytes = need(realloc(bytes, capacity));
        }
        memset(bytes + done, (int)(length % 251), piece);
        done += piece;
    }
    return (struct string){.bytes = need(realloc(bytes, length)), .length = length};
}

static void drop(struct string string) {
    for (size_t i = 0; i < string.length; i += PIECE) {
        CHECK(string.bytes[i] == string.length % 251);
    }
    free(string.bytes);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    struct string *strings = table_make(STRINGS, sizeof *strings);
    for (size_t i = scaled(&bench, BUILT); i > 0; i--) {
        size_t at = rng_below(&rng, STRINGS);
        drop(strings[at]);
        strings[at] = build(&rng);
    }
    for (size_t at = 0; at < STRINGS; at++) {
        drop(strings[at]);
    }
    return 0;
}
