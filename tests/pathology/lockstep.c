/*
 * Some arrays of half a megabyte are walked in lockstep, as in a[i] = b[i] + c[i]. When all of
 * them begin at the same offset in a page, their elements of one index compete for the same few
 * lines of the processor's first cache, and each step throws out what the next one needs. The walk
 * over arrays from malloc is compared with one over arrays that begin a few cache lines apart.
 * There are more arrays than any such cache has lines for one offset.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pathology.h"

#define ARRAYS 16
#define BYTES (512 * KIB)
#define COUNT (BYTES / sizeof(uint32_t))
#define APART (BYTES + 5 * 64)
#define ROUNDS 60
#define ALLOWED_RATIO 2

static uint64_t time_walk(uint32_t **arrays) {
    uint64_t start = now_ns();
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < ARRAYS; k++) {
            ((volatile uint32_t *)arrays[k])[i]++;
        }
    }
    return now_ns() - start;
}

int main(void) {
    life_require_goalloc();
    uint32_t *from_malloc[ARRAYS], *apart[ARRAYS];
    char *memory =
        mmap(NULL, ARRAYS * APART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "no memory");
    for (size_t k = 0; k < ARRAYS; k++) {
        from_malloc[k] = calloc(COUNT, sizeof(uint32_t));
        CHECK(from_malloc[k] != NULL, "calloc failed");
        apart[k] = (uint32_t *)(void *)(memory + k * APART);
    }
    uint64_t mine = UINT64_MAX, best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        mine = least(mine, time_walk(from_malloc));
        best = least(best, time_walk(apart));
    }
    printf("%d arrays: %.2f ms, %.2f ms apart\n", ARRAYS, (double)mine / NS_PER_MS,
           (double)best / NS_PER_MS);
    for (size_t k = 0; k < ARRAYS; k++) {
        CHECK(from_malloc[k][COUNT - 1] == ROUNDS, "array %zu changed", k);
        free(from_malloc[k]);
    }
    fflush(stdout);
    CHECK(mine <= ALLOWED_RATIO * best, "%.1f times as long", (double)mine / (double)best);
    return 0;
}
