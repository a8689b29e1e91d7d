/*
 * Many vectors grow to 2 MiB by half of their size at random, are dropped there and begin anew.
 * Moving the pages of a block instead of copying it looks cheap, but where the block goes to pages
 * that are backed by memory it throws those away, and leaves none behind it: each step is then paid
 * for by page faults later. Once the heap has its size, growth must cause few of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define VECTORS 200
#define GROWTHS (VECTORS * 40)
#define LARGEST (2 * MIB)
#define PAGE (4 * KIB)

struct vector {
    char *bytes;
    size_t size;
};

static struct vector vectors[VECTORS];
static size_t grown; /* bytes */

static void grow(struct vector *vector) {
    size_t size = vector->size + vector->size / 2 + 16;
    if (size > LARGEST) {
        free(vector->bytes);
        *vector = (struct vector){NULL, 0};
        return;
    }
    char *bytes = realloc(vector->bytes, size);
    CHECK(bytes != NULL, "realloc to %zu failed", size);
    CHECK(vector->size == 0 || bytes[vector->size - 1] == (char)vector->size, "a byte was lost");
    memset(bytes + vector->size, (char)size, size - vector->size);
    grown += size - vector->size;
    *vector = (struct vector){bytes, size};
}

static void grow_all(void) {
    uint64_t seed = 1;
    grown = 0;
    for (size_t i = 0; i < GROWTHS; i++) {
        grow(&vectors[random_below(&seed, VECTORS)]);
    }
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    grow_all();
    size_t faults = page_faults();
    grow_all();
    faults = page_faults() - faults;
    printf("growth by %zu pages: %zu page faults\n", grown / PAGE, faults);
    fflush(stdout);
    CHECK(faults < grown / PAGE / 4, "%zu page faults for %zu pages", faults, grown / PAGE);
    return 0;
}
