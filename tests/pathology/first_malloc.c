/*
 * The first malloc of a process sets the heap up. Where that maps each table by itself and opens it
 * with calls of its own, a shell that runs thousands of small programs waits for it each time, and
 * so does the one call of malloc in the life of a process that takes the longest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define CALLS_ALLOWED 8

static void nothing(void) {}

static void allocate(void) {
    free_touched(touched(100), 100);
}

int main(void) {
    size_t first = mapping_calls(nothing, allocate);
    size_t next = mapping_calls(allocate, allocate);
    life_require_goalloc();
    printf("%zu system calls in the first malloc, %zu in the next\n", first, next);
    fflush(stdout);
    CHECK(first > 0, "the heap was there before");
    CHECK(first <= CALLS_ALLOWED, "%zu system calls for the first malloc", first);
    CHECK(next == 0, "%zu system calls for the second one", next);
    return 0;
}
