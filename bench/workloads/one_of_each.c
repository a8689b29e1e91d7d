/*
 * One object of each of a thousand sizes, 8 to 8,000 bytes, all held: a small program that uses a
 * bit of everything. Punishes a page or more for each size class, and buffers set aside for what is
 * used once. Metric: resident bytes beyond the bytes asked for.
 */
#include "bench.h"

enum { SIZES = 1000, STEP = 8 };

int main(int argc, char **argv) {
    bench_arguments(argc, argv, (struct bench){.threads = 1});
    unsigned char **object = table_make(SIZES, sizeof *object);
    size_t before = rss_exact(), live = 0;
    for (size_t i = 0; i < SIZES; i++) {
        size_t size = (i + 1) * STEP;
        object[i] = need(malloc(size));
        memset(object[i], (unsigned char)i, size);
        live += size;
    }
    double overhead = (double)(rss_exact() - before) - (double)live;
    for (size_t i = 0; i < SIZES; i++) {
        check_touched(object[i], (i + 1) * STEP, (unsigned char)i);
        free(object[i]);
    }
    metric("overhead", overhead, "bytes");
    return 0;
}
