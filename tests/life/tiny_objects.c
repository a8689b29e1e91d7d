/*
 * Four million objects of 8 bytes take at most 9 bytes of resident memory each, everything
 * included. The array that remembers them is mapped and touched before the measurement.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "life.h"

#define OBJECTS ((size_t)4000000)
#define ALLOWED_BYTES (OBJECTS * 9)

int main(void) {
    life_require_goalloc();
    uint64_t **objects = mmap(NULL, OBJECTS * sizeof(*objects), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(objects != MAP_FAILED, "no array");
    memset(objects, 1, OBJECTS * sizeof(*objects));
    size_t before = life_resident();
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(8);
        CHECK(objects[i] != NULL, "malloc failed");
        *objects[i] = i;
    }
    size_t grown = life_resident() - before;
    for (size_t i = 0; i < OBJECTS; i++) {
        CHECK(*objects[i] == i, "object %zu changed", i);
        free(objects[i]);
    }
    printf("%.3f bytes an object\n", (double)grown / (double)OBJECTS);
    CHECK(grown <= ALLOWED_BYTES, "%zu objects of 8 bytes take %zu bytes", OBJECTS, grown);
    return 0;
}
