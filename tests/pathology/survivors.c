/*
 * 96 MiB of objects of 256 bytes to 4 KiB, of which one in twenty lives on, anywhere: a cache that
 * expires, a document that is closed but for its pictures. Where a span holds dozens of objects
 * hardly one becomes empty, and nearly three quarters of the peak stay resident; in spans of 8 KiB a
 * third, unless what is free in the middle of them goes back, too.
 *
 *     survivors trim    malloc_trim is called
 *     survivors idle    for some seconds little happens
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathology.h"

#define PEAK (96 * MIB)
#define SMALLEST 256
#define LARGEST (4 * KIB)
#define SURVIVORS_ONE_IN 20
#define ALLOWED (PEAK / 4)
#define TICKS 1000
#define TICK_MS 10
#define CALLS_EACH 4

struct object {
    size_t size;
};

static void *objects[PEAK / SMALLEST];
static uint64_t seed = 1;

static void *make(void) {
    size_t size = random_size(&seed, SMALLEST, LARGEST);
    struct object *object = touched(size);
    object->size = size;
    ((unsigned char *)object)[size - 1] = (unsigned char)size;
    return object;
}

static void check(const struct object *object) {
    CHECK(((const unsigned char *)object)[object->size - 1] == (unsigned char)object->size,
          "an object of %zu bytes changed", object->size);
}

/* Until memory is down to what is allowed, ten seconds at most. */
static void wait_for_memory(size_t before) {
    for (int tick = 0; tick < TICKS && rollup("Rss") - before > ALLOWED; tick++) {
        sleep_ms(TICK_MS);
        for (int i = 0; i < CALLS_EACH; i++) {
            size_t size = random_size(&seed, LARGEST, 64 * KIB);
            free_touched(touched(size), size);
        }
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: survivors trim|idle");
    life_require_goalloc();
    size_t before = rollup("Rss"), count = 0, live = 0;
    for (size_t bytes = 0; bytes < PEAK; count++) {
        objects[count] = make();
        bytes += ((struct object *)objects[count])->size;
    }
    size_t peak = rollup("Rss") - before;
    shuffle(objects, count, &seed);
    for (size_t i = 0; i < count; i++) {
        struct object *object = objects[i];
        check(object);
        if (i % SURVIVORS_ONE_IN == 0) {
            live += object->size;
        } else {
            free(object);
        }
    }
    if (strcmp(argv[1], "trim") == 0) {
        malloc_trim(0);
    } else {
        wait_for_memory(before);
    }
    size_t after = rollup("Rss") - before;
    for (size_t i = 0; i < count; i += SURVIVORS_ONE_IN) {
        check(objects[i]);
    }
    printf("%zu KiB at the peak, %zu KiB for %zu KiB that live on\n", peak / KIB, after / KIB,
           live / KIB);
    CHECK(peak > PEAK, "the peak is not resident");
    CHECK(after <= ALLOWED, "what lives on keeps %zu KiB", after / KIB);
    return 0;
}
