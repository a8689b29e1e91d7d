/*
 * Blocks of 2 MiB at multiples of 2 MiB, as other runtimes and drivers want them. An allocator that
 * looks for room for the block and its alignment together does not see that a freed block fits
 * exactly, and takes new address space and new pages for each:
 *
 *     aligned_loop one     one block at a time: the address repeats, with no page fault
 *     aligned_loop many    64 blocks, replaced at random: half as much memory again at most
 *     aligned_loop odd     the same beside a hole that is long enough, but not aligned: likewise,
 *                          and without a page fault for each block
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define BLOCK (2 * MIB)
#define LOOPS 1000
#define LIVE 64
#define REPLACED 3000

static char *aligned(void) {
    char *block = memalign(BLOCK, BLOCK);
    CHECK(block != NULL && (uintptr_t)block % BLOCK == 0, "memalign returned %p", (void *)block);
    for (size_t i = 0; i < BLOCK; i += 4 * KIB) {
        block[i] = 1;
    }
    return block;
}

static void loop_over_one(void) {
    char *first = aligned();
    free(first);
    size_t faults = page_faults(), elsewhere = 0;
    for (int i = 0; i < LOOPS; i++) {
        char *block = aligned();
        elsewhere += block != first;
        free(block);
    }
    faults = page_faults() - faults;
    printf("%zu of %d at another address, %zu page faults\n", elsewhere, LOOPS, faults);
    fflush(stdout);
    CHECK(elsewhere <= 2, "%zu of %d blocks are at another address", elsewhere, LOOPS);
    CHECK(faults <= 50, "%zu page faults", faults);
}

/* Frees the hole, or NULL, once all blocks are there. Returns the page faults after that. */
static size_t replace_many(void *hole) {
    static char *blocks[LIVE];
    uint64_t seed = 1;
    size_t before = rollup("Rss"), faults = 0;
    for (size_t n = 0; n < LIVE + REPLACED; n++) {
        size_t i = n < LIVE ? n : random_below(&seed, LIVE);
        if (n == LIVE) {
            free(hole);
            faults = page_faults();
        }
        free(blocks[i]);
        blocks[i] = aligned();
    }
    size_t grown = peak_resident() - before;
    printf("peak %zu KiB for %zu KiB\n", grown / KIB, LIVE * BLOCK / KIB);
    fflush(stdout);
    CHECK(grown <= LIVE * BLOCK / 2 * 3, "the peak is %zu KiB", grown / KIB);
    return page_faults() - faults;
}

static void replace_beside_a_hole(void) {
    char *floor = touched(100 * KIB); /* or the hole would begin at an aligned place */
    char *hole = touched(BLOCK + BLOCK / 2), *wall = touched(100 * KIB);
    size_t faults = replace_many(hole);
    printf("%zu page faults\n", faults);
    fflush(stdout);
    CHECK(faults <= REPLACED, "%zu page faults", faults);
    free_touched(wall, 100 * KIB);
    free_touched(floor, 100 * KIB);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: aligned_loop one|many|odd");
    life_require_goalloc();
    avoid_huge_pages();
    if (strcmp(argv[1], "one") == 0) {
        loop_over_one();
    } else if (strcmp(argv[1], "odd") == 0) {
        replace_beside_a_hole();
    } else {
        replace_many(NULL);
    }
    return 0;
}
