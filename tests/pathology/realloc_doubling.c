/*
 * A buffer grows from 4 bytes to 512 MiB by doubling, as those of vectors and readers do. Copying
 * at each step needs the old and the new block at the same time, and touches every page twice.
 * Large blocks must grow in place or have their pages moved, so that the peak is the final size:
 *
 *     realloc_doubling alone         nothing lies behind the buffer
 *     realloc_doubling neighbours    after each step another block is put right behind it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define LARGEST (512 * MIB)
#define PAGE (4 * KIB)
#define NEIGHBOUR (40 * KIB)
#define STEPS 27

static void *neighbours[STEPS];

static unsigned char byte_at(size_t i) {
    return (unsigned char)(i / PAGE * 7 + i);
}

/* One byte in each page; only what is new is written. */
static void fill(unsigned char *buffer, size_t from, size_t to) {
    for (size_t i = from; i < to; i += from < PAGE ? 1 : PAGE) {
        buffer[i] = byte_at(i);
    }
}

static void check(const unsigned char *buffer, size_t size) {
    for (size_t i = 0; i < size; i += PAGE) {
        CHECK(buffer[i] == byte_at(i), "byte %zu was lost", i);
    }
}

static void grow(bool with_neighbours) {
    unsigned char *buffer = malloc(4);
    size_t size = 4;
    CHECK(buffer != NULL, "malloc failed");
    fill(buffer, 0, size);
    for (size_t step = 0; size < LARGEST; step++) {
        buffer = realloc(buffer, 2 * size);
        CHECK(buffer != NULL, "realloc to %zu failed", 2 * size);
        fill(buffer, size, 2 * size);
        size *= 2;
        if (with_neighbours) {
            neighbours[step] = touched(NEIGHBOUR);
        }
    }
    check(buffer, size);
    free(buffer);
    for (size_t i = 0; i < STEPS; i++) {
        free(neighbours[i]);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: realloc_doubling alone|neighbours");
    life_require_goalloc();
    avoid_huge_pages();
    size_t before = rollup("Rss");
    size_t faults = page_faults();
    grow(strcmp(argv[1], "neighbours") == 0);
    faults = page_faults() - faults;
    size_t grown = peak_resident() - before;
    printf("%zu faults for %zu pages, peak %zu KiB\n", faults, LARGEST / PAGE, grown / KIB);
    fflush(stdout);
    CHECK(faults <= LARGEST / PAGE * 11 / 10, "%zu page faults", faults);
    CHECK(grown <= LARGEST / 20 * 21, "the peak is %zu KiB", grown / KIB);
    return 0;
}
