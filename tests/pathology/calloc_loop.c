/*
 * Zeroed blocks of 5 to 25 MiB are allocated, written and freed in a loop: layers of an image. An
 * allocator that takes zeros from the system each time, by giving the pages back, pays a page fault
 * for each of them, twice what writing zeros takes. Blocks of which little is used are the other
 * side: what was never touched must not become resident.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define BLOCKS 300
#define FAULTS_ALLOWED (300 * BLOCKS) /* of 3,000 that each block would take */
#define GROWTH_ALLOWED (2 * MIB)

static void use_block(size_t size, size_t used) {
    unsigned char *block = calloc(1, size);
    CHECK(block != NULL, "calloc failed");
    for (size_t i = 0; i < size; i += 512) {
        CHECK(i >= used || block[i] == 0, "byte %zu is not zero", i);
    }
    memset(block, 0xff, used);
    free(block);
}

static void use_all(void) {
    uint64_t seed = 1;
    use_block(25 * MIB, 25 * MIB);
    size_t faults = page_faults();
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 5 * MIB + random_below(&seed, 20 * MIB);
        use_block(size, size);
    }
    faults = page_faults() - faults;
    printf("%d blocks, used to the full: %zu page faults\n", BLOCKS, faults);
    CHECK(faults <= FAULTS_ALLOWED, "%zu page faults for %d blocks", faults, BLOCKS);
}

static void use_some(void) {
    uint64_t seed = 2;
    size_t before = rollup("Rss");
    for (size_t i = 0; i < BLOCKS; i++) {
        use_block(5 * MIB + random_below(&seed, 20 * MIB), 64 * KIB);
    }
    size_t after = rollup("Rss"), growth = after > before ? after - before : 0;
    printf("%d blocks, hardly used: grown by %zu KiB\n", BLOCKS, growth / KIB);
    CHECK(growth <= GROWTH_ALLOWED, "grown by %zu KiB", growth / KIB);
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    use_some();
    use_all();
    return 0;
}
