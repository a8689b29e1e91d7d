/*
 * Fifty threads put objects into a table and free what others had put there: a cache, a queue of
 * jobs, sessions that wander. The live set is the same all the time. Where freed objects pile up
 * with threads that do not need them, memory creeps upwards for hours; here a few million handoffs
 * stand for those hours.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define THREADS 50
#define PLACES 20000
#define PHASES 6
#define SETTLED 2      /* at the end of this phase, counted from 0, memory is what it will be */
#define HANDOFFS 40000 /* of each thread in each phase */
#define ALLOWED_GROWTH (2 * MIB)

struct object {
    uint32_t size;
    uint32_t check;
};

static _Atomic(struct object *) places[PLACES];
static size_t resident[PHASES];
static pthread_barrier_t phase_ends;
static pthread_barrier_t phase_begins;

static struct object *make(uint64_t *seed) {
    size_t size = random_size(seed, 16, 4 * KIB);
    struct object *object = touched(size);
    *object = (struct object){(uint32_t)size, ~(uint32_t)size};
    return object;
}

static void drop(struct object *object) {
    CHECK(object == NULL || object->check == ~object->size, "an object changed");
    free(object);
}

static void hand_off(size_t index) {
    uint64_t seed = index;
    for (size_t phase = 0; phase < PHASES; phase++) {
        for (size_t n = 0; n < HANDOFFS; n++) {
            struct object *object = make(&seed);
            drop(atomic_exchange(&places[random_below(&seed, PLACES)], object));
        }
        pthread_barrier_wait(&phase_ends);
        if (index == 0) {
            resident[phase] = rollup("Rss");
        }
        pthread_barrier_wait(&phase_begins);
    }
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    pthread_barrier_init(&phase_ends, NULL, THREADS);
    pthread_barrier_init(&phase_begins, NULL, THREADS);
    run_threads(THREADS, hand_off);
    for (size_t i = 0; i < PHASES; i++) {
        printf("%zu KiB after %zu handoffs\n", resident[i] / KIB, (i + 1) * THREADS * HANDOFFS);
    }
    fflush(stdout);
    CHECK(resident[PHASES - 1] <= resident[SETTLED] + resident[SETTLED] / 20 + ALLOWED_GROWTH,
          "resident %zu KiB grew to %zu KiB", resident[SETTLED] / KIB, resident[PHASES - 1] / KIB);
    for (size_t i = 0; i < PLACES; i++) {
        drop(places[i]);
    }
    return 0;
}
