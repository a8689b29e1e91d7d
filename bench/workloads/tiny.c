/*
 * Four million objects of 8 bytes, chained by themselves: boxed numbers, list cells, flags.
 * Punishes headers and a least size of 16 or more. Metric: resident bytes for each object.
 */
#include "bench.h"

enum { OBJECTS = 4000000, ROUNDS = 8 };

struct cell {
    struct cell *next;
};

static struct cell *build(size_t n) {
    struct cell *list = NULL;
    for (size_t i = 0; i < n; i++) {
        struct cell *cell = need(malloc(sizeof *cell));
        cell->next = list;
        list = cell;
    }
    return list;
}

static size_t drop(struct cell *list) {
    size_t n = 0;
    while (list != NULL) {
        struct cell *next = list->next;
        free(list);
        list = next;
        n++;
    }
    return n;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    size_t before = rss_exact(), after = 0;
    for (size_t i = scaled(&bench, ROUNDS); i > 0; i--) {
        struct cell *list = build(OBJECTS);
        after = after == 0 ? rss_exact() : after;
        CHECK(drop(list) == OBJECTS);
    }
    metric("bytes_per_object", (double)(after - before) / OBJECTS, "bytes");
    return 0;
}
