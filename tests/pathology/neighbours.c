/*
 * A list is built after long random use of a half-full heap. Where free objects wait in lists in
 * the order of their random frees, the members of the list lie all over the heap, and a walk over
 * it misses the processor's caches at each step. Members that are allocated one after the other
 * must mostly lie in the same page of 8 KiB.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define OBJECTS 400000
#define REPLACED 1500000
#define MEMBERS 50000
#define PAGE (8 * KIB)

static void *objects[OBJECTS];

static void use_heap(uint64_t *seed) {
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = touched(16 * (1 + random_below(seed, 6)));
    }
    for (size_t n = 0; n < REPLACED; n++) {
        size_t i = random_below(seed, OBJECTS);
        free(objects[i]);
        objects[i] = touched(16 * (1 + random_below(seed, 6)));
    }
    shuffle(objects, OBJECTS, seed);
    for (size_t i = 0; i < OBJECTS / 2; i++) {
        free(objects[i]);
    }
}

/* How many of the members lie in the page of the one before. */
static size_t near_neighbours(void) {
    uintptr_t last = 0;
    size_t near = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        uintptr_t member = (uintptr_t)touched(48);
        near += member / PAGE == last / PAGE;
        last = member;
    }
    return near;
}

int main(void) {
    life_require_goalloc();
    uint64_t seed = 1;
    use_heap(&seed);
    size_t near = near_neighbours();
    printf("%zu of %d lie in the page of the one before\n", near, MEMBERS);
    fflush(stdout);
    CHECK(near >= MEMBERS / 10 * 8, "only %zu of %d", near, MEMBERS);
    return 0;
}
