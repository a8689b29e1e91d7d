/*
 * Strings of 1 to 64 bytes: made, joined, compared, dropped. Stands for text processing and for
 * scripting languages, whose blocks are smaller than any other and live shortly. Punishes headers,
 * coarse size classes, and a long way for realloc.
 */
#include "bench.h"

enum { STRINGS = 8192, STEPS = 11000000, MOST = 64 };

static char *strings[STRINGS];

static char *make(struct rng *rng) {
    size_t length = rng_between(rng, 1, MOST - 1);
    char *text = need(malloc(length + 1));
    memset(text, 'a' + (char)(length % 26), length);
    text[length] = '\0';
    return text;
}

static char *copy(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(need(malloc(size)), text, size);
}

/* The first grows by the second; what is too long then is cut. */
static char *join(char *first, const char *second) {
    size_t length = strlen(first), more = strlen(second);
    if (length + more >= MOST) {
        more = MOST - 1 - length;
    }
    char *text = need(realloc(first, length + more + 1));
    memcpy(text + length, second, more);
    text[length + more] = '\0';
    CHECK(strlen(text) == length + more);
    return text;
}

static void replace(char **place, char *text) {
    free(*place);
    *place = text;
}

static void step(struct rng *rng) {
    char **first = &strings[rng_below(rng, STRINGS)];
    char **second = &strings[rng_below(rng, STRINGS)];
    size_t what = rng_below(rng, 4);
    if (what == 0 && first != second) {
        *first = join(*first, *second);
    } else if (what == 1 && first != second) {
        replace(first, copy(*second));
        CHECK(strcmp(*first, *second) == 0);
    } else {
        replace(first, make(rng));
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    for (size_t i = 0; i < STRINGS; i++) {
        strings[i] = make(&rng);
    }
    for (size_t i = scaled(&bench, STEPS); i > 0; i--) {
        step(&rng);
    }
    for (size_t i = 0; i < STRINGS; i++) {
        free(strings[i]);
    }
    return 0;
}
