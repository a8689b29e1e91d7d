/*
 * A thousand zeroed blocks of a gigabyte, two alive at a time, of which a few pages are written:
 * sparse tables, bitmaps, other runtimes' heaps. Memory fresh from the system is zero; an allocator
 * that writes zeros to it makes all of it resident, a quarter of a million page faults for each
 * block. The same holds for memory of an earlier block that is cleared by hand. In mode "kept"
 * blocks are never freed: nor may the allocator's own tables be written for all of their pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define BLOCKS 1000
#define TOUCHED 16
#define FAULTS_ALLOWED (4 * TOUCHED * BLOCKS)
#define RESIDENT_ALLOWED (32 * MIB)

#define KEPT 200
#define KEPT_FAULTS_ALLOWED (8 * KEPT)

static void touch(char *block, uint64_t *seed) {
    for (int i = 0; i < TOUCHED; i++) {
        size_t at = random_below(seed, GIB);
        CHECK(block[at] == 0, "byte %zu is not zero", at);
        block[at] = 1;
    }
}

static int keep(void) {
    uint64_t seed = 1;
    size_t faults = page_faults();
    for (size_t i = 0; i < KEPT; i++) {
        char *block = calloc(GIB / 64, 64);
        CHECK(block != NULL, "calloc failed");
        block[random_below(&seed, GIB)] = 1;
    }
    faults = page_faults() - faults;
    printf("%zu page faults\n", faults);
    fflush(stdout);
    CHECK(faults <= KEPT_FAULTS_ALLOWED, "%zu page faults", faults);
    return 0;
}

int main(int argc, char **argv) {
    life_require_goalloc();
    avoid_huge_pages();
    if (argc == 2 && strcmp(argv[1], "kept") == 0) {
        return keep();
    }
    char *alive[2] = {NULL, NULL};
    uint64_t seed = 1;
    size_t before = rollup("Rss");
    size_t faults = page_faults();
    for (size_t i = 0; i < BLOCKS; i++) {
        free(alive[i % 2]);
        alive[i % 2] = calloc(GIB / 64, 64);
        CHECK(alive[i % 2] != NULL, "calloc failed");
        touch(alive[i % 2], &seed);
    }
    faults = page_faults() - faults;
    size_t grown = peak_resident() - before;
    printf("%zu page faults, peak %zu KiB\n", faults, grown / KIB);
    fflush(stdout);
    CHECK(faults <= FAULTS_ALLOWED, "%zu page faults", faults);
    CHECK(grown <= RESIDENT_ALLOWED, "%zu KiB are resident", grown / KIB);
    return 0;
}
