/*
 * A heap of 40 MB in which random objects are replaced, in eight phases: three of four new ones have
 * the size of the phase, 16 bytes to 2 KiB, and the fourth any of them. In each phase four times as
 * many bytes come as there are. Objects of a size that has had its day, but still comes, stay where
 * it was at its best; allocators with size classes keep up to three and a half times the live bytes.
 *
 *     shifting_share PERCENT    of the live bytes that may be resident at the end of a phase
 */
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define LIVE ((size_t)40000000)
#define TURNOVERS 4
#define SMALLEST ((size_t)16)
#define PHASES 8
#define LARGEST (SMALLEST << (PHASES - 1))

static struct sized *objects[LIVE / SMALLEST + 1];
static size_t count;
static size_t bytes;

static void drop_one(uint64_t *seed) {
    struct sized **one = &objects[random_below(seed, count)];
    bytes -= (*one)->size;
    sized_drop(*one);
    *one = objects[--count];
}

static void add_one(uint64_t *seed, size_t size) {
    while (bytes + size > LIVE) {
        drop_one(seed);
    }
    objects[count++] = sized_make((uint32_t)size);
    bytes += size;
}

static void replace_all(uint64_t *seed, size_t often) {
    for (size_t done = 0, size; done < TURNOVERS * LIVE; done += size) {
        bool any = random_below(seed, 4) == 0;
        size = any ? SMALLEST + random_below(seed, LARGEST - SMALLEST + 1) : often;
        add_one(seed, size);
    }
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    CHECK(argc == 2, "PERCENT");
    size_t allowed = strtoul(argv[1], NULL, 10);
    life_require_goalloc();
    avoid_huge_pages();
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        objects[i] = NULL;
    }
    size_t before = rollup("Rss");
    for (size_t size = SMALLEST; size <= LARGEST; size *= 2) {
        replace_all(&seed, size);
        size_t percent = (rollup("Rss") - before) / (bytes / 100);
        printf("%zu bytes: %zu %% of %zu KiB are resident\n", size, percent, bytes / KIB);
        fflush(stdout);
        CHECK(percent <= allowed, "of %zu bytes: %zu %%", size, percent);
    }
    return 0;
}
