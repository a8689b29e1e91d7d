/*
 * Destructors of thread-specific data that allocate and free in each of the four rounds the C
 * library grants, some of them after the allocator's own clean-up has run. Keys are made before
 * and after the first allocation, because destructors run in the order of the keys.
 */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "life.h"

#define ROUNDS 4000
#define WARM_UP 400
#define KEYS 8
#define EARLY_KEYS 4
#define ALLOWED_GROWTH MIB

static pthread_key_t keys[KEYS];
static void *kept_blocks[KEYS];
static atomic_ulong destructor_calls;

/* The value counts the rounds that are left. */
static void run_again(size_t index, void *value) {
    atomic_fetch_add(&destructor_calls, 1);
    free(life_block(40 * (index + 1)));
    free(life_block(10000));
    free(life_block(50000));
    free(kept_blocks[index]);
    kept_blocks[index] = life_block(300);
    uintptr_t left = (uintptr_t)value - 1;
    if (left > 0) {
        CHECK(pthread_setspecific(keys[index], (void *)left) == 0, "setspecific failed");
    }
}

#define DESTRUCTOR(index)                                                                          \
    static void destructor_##index(void *value) {                                                  \
        run_again(index, value);                                                                   \
    }

DESTRUCTOR(0)
DESTRUCTOR(1)
DESTRUCTOR(2)
DESTRUCTOR(3)
DESTRUCTOR(4)
DESTRUCTOR(5)
DESTRUCTOR(6)
DESTRUCTOR(7)

static void (*const destructors[KEYS])(void *) = {
    destructor_0, destructor_1, destructor_2, destructor_3,
    destructor_4, destructor_5, destructor_6, destructor_7,
};

static void create_keys(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        CHECK(pthread_key_create(&keys[i], destructors[i]) == 0, "no key");
    }
}

static void *set_values(void *arg) {
    for (size_t i = 0; i < KEYS; i++) {
        CHECK(pthread_setspecific(keys[i], (void *)(uintptr_t)PTHREAD_DESTRUCTOR_ITERATIONS) == 0,
              "setspecific failed");
    }
    free(life_block(100));
    free(life_block(3000));
    return arg;
}

static void run_rounds(size_t count) {
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, set_values, NULL) == 0, "no thread");
        CHECK(pthread_join(thread, NULL) == 0, "cannot join");
    }
}

int main(void) {
    create_keys(0, EARLY_KEYS);
    life_require_goalloc();
    free(life_block(1));
    create_keys(EARLY_KEYS, KEYS);
    run_rounds(WARM_UP);
    size_t early = life_resident();
    run_rounds(ROUNDS - WARM_UP);
    size_t late = life_resident();
    unsigned long calls = atomic_load(&destructor_calls);
    CHECK(calls == (unsigned long)ROUNDS * KEYS * PTHREAD_DESTRUCTOR_ITERATIONS,
          "%lu destructor calls", calls);
    CHECK(late <= early + ALLOWED_GROWTH, "resident %zu KiB after %d rounds, %zu KiB after %d",
          early / KIB, WARM_UP, late / KIB, ROUNDS);
    return 0;
}
