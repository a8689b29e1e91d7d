/*
 * Half a gigabyte in 13,000 holes goes back to the system at once while four threads allocate
 * blocks that have pages of their own. An allocator that holds the lock of its pages over all those
 * system calls stops the others for as long. So they must get on meanwhile, and the longest of
 * their calls must be shorter than half of the release. An attempt that other load on the machine
 * has disturbed is repeated.
 */
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define BLOCKS 26000
#define SIZE (40 * KIB)
#define THREADS 4
#define ATTEMPTS 6
#define WANTED_CALLS 1000 /* there is time for a hundred times as many */

static void *blocks[BLOCKS];
static atomic_bool releasing;
static atomic_bool stop;
static _Atomic uint64_t longest;
static _Atomic size_t calls;

static void record(uint64_t time) {
    uint64_t before = atomic_load(&longest);
    while (time > before && !atomic_compare_exchange_weak(&longest, &before, time)) {
    }
    atomic_fetch_add(&calls, 1);
}

/* A call counts when the release has begun before it ends. */
static void *allocate(void *argument) {
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    while (!atomic_load(&stop)) {
        size_t size = random_size(&seed, 40 * KIB, 200 * KIB);
        uint64_t start = now_ns();
        char *block = malloc(size);
        CHECK(block != NULL, "malloc failed");
        free(life_keep(block));
        if (atomic_load(&releasing)) {
            record(now_ns() - start);
        }
    }
    return NULL;
}

static void make_holes(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i] == NULL) {
            blocks[i] = touched(SIZE);
        }
    }
    for (size_t i = 0; i < BLOCKS; i += 2) {
        free_touched(blocks[i], SIZE);
        blocks[i] = NULL;
    }
}

static bool attempt(void) {
    make_holes();
    size_t before = life_resident();
    atomic_store(&longest, 0);
    atomic_store(&calls, 0);
    atomic_store(&releasing, true);
    uint64_t start = now_ns();
    malloc_trim(0);
    uint64_t time = now_ns() - start;
    atomic_store(&releasing, false);
    size_t after = life_resident();
    CHECK(before > after + BLOCKS / 4 * SIZE, "only %zu KiB were released", (before - after) / KIB);
    printf("release %.1f ms, longest call %.1f ms, calls %zu\n", (double)time / NS_PER_MS,
           (double)longest / NS_PER_MS, calls);
    return longest < time / 2 && calls >= WANTED_CALLS;
}

int main(void) {
    life_require_goalloc();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, allocate, (void *)(i + 1)) == 0, "no thread");
    }
    bool passed = false;
    for (int i = 0; i < ATTEMPTS && !passed; i++) {
        passed = attempt();
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    fflush(stdout);
    CHECK(passed, "the others wait for the release in each of %d attempts", ATTEMPTS);
    return 0;
}
