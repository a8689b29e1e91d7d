/*
 * A program that locks its memory, as those with deadlines do, and whose heap has many holes. The
 * system gives none of them back; an allocator that tries each, whenever something is to be given
 * back, makes thousands of system calls for nothing, inside of malloc.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "pathology.h"

#define BLOCKS 8000
#define BLOCK (24 * KIB)
#define LARGE (1536 * KIB)
#define LOOPS 40

static uint64_t processor_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Blocks too large for any hole, one more each time. */
static uint64_t time_of_loops(void) {
    static char *large[LOOPS];
    uint64_t start = processor_ns();
    for (size_t i = 0; i < LOOPS; i++) {
        large[i] = touched(LARGE);
        free(malloc(50));
    }
    uint64_t time = processor_ns() - start;
    for (size_t i = 0; i < LOOPS; i++) {
        free_touched(large[i], LARGE);
    }
    return time;
}

int main(void) {
    static void *block[BLOCKS];
    life_require_goalloc();
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        skip("memory cannot be locked here");
    }
    uint64_t without = time_of_loops();
    for (size_t i = 0; i < BLOCKS; i++) {
        block[i] = touched(BLOCK);
    }
    for (size_t i = 0; i < BLOCKS; i += 2) {
        free_touched(block[i], BLOCK);
    }
    uint64_t with = time_of_loops();
    printf("%llu ms without holes, %llu ms with %d\n", (unsigned long long)(without / NS_PER_MS),
           (unsigned long long)(with / NS_PER_MS), BLOCKS / 2);
    fflush(stdout);
    CHECK(with <= 3 * without + 20 * NS_PER_MS, "holes cost too much");
    return 0;
}
