/*
 * Blocks of 5 to 25 MiB are allocated, written and freed in a loop: images, network buffers,
 * frames. An allocator that maps and unmaps each, or gives each back to the system, pays two
 * system calls and some thousand page faults for every block. After the first one there must be
 * neither.
 */
#include <stdio.h>

#include "pathology.h"

#define BLOCKS 1000
#define CALLS_ALLOWED 20
#define FAULTS_ALLOWED (10 * BLOCKS) /* of 3,000 that each block would take */

static void use_block(size_t size) {
    free_touched(touched(size), size);
}

static void use_largest(void) {
    avoid_huge_pages();
    use_block(25 * MIB);
}

static void use_blocks(void) {
    uint64_t seed = 1;
    for (size_t i = 0; i < BLOCKS; i++) {
        use_block(5 * MIB + random_below(&seed, 20 * MIB));
    }
}

int main(void) {
    life_require_goalloc();
    size_t calls = mapping_calls(use_largest, use_blocks);
    use_largest();
    size_t faults = page_faults();
    use_blocks();
    faults = page_faults() - faults;
    printf("%d blocks: %zu system calls, %zu page faults\n", BLOCKS, calls, faults);
    fflush(stdout);
    CHECK(calls <= CALLS_ALLOWED, "%zu system calls for %d blocks", calls, BLOCKS);
    CHECK(faults <= FAULTS_ALLOWED, "%zu page faults for %d blocks", faults, BLOCKS);
    return 0;
}
