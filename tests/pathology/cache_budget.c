/*
 * 64 threads use and free objects of many sizes and then wait. What their caches hold together is
 * limited by an option; a budget that threads overrun, or that is not handed back when a thread
 * ends, lets the caches creep upwards. The caches of three generations of threads are looked at,
 * under GOALLOC_CACHE_MAX=4m: half a megabyte is each thread's own.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "goalloc.h"
#include "pathology.h"

#define THREADS 64
#define GENERATIONS 3
#define ROUNDS 150
#define MOST 300
#define ALLOWED (THREADS * 512 * KIB + 4 * MIB)
#define LEAST (4 * MIB) /* else nothing was cached, and nothing is shown */

static pthread_barrier_t filled;
static pthread_barrier_t looked_at;
static void (*get_stats)(struct goalloc_stats *out);
static size_t most_cached, least_cached = SIZE_MAX;

static void look(void) {
    struct goalloc_stats stats;
    get_stats(&stats);
    most_cached = stats.thread_cache > most_cached ? stats.thread_cache : most_cached;
    least_cached = stats.thread_cache < least_cached ? stats.thread_cache : least_cached;
}

static void fill_cache(size_t index) {
    void *held[MOST];
    uint64_t seed = index + 1;
    for (int round = 0; round < ROUNDS; round++) {
        size_t size = random_size(&seed, 8, 32 * KIB), count = 1 + random_below(&seed, MOST);
        count = size * count > 512 * KIB ? 512 * KIB / size : count;
        for (size_t i = 0; i < count; i++) {
            held[i] = malloc(size);
            CHECK(held[i] != NULL, "malloc failed");
        }
        for (size_t i = 0; i < count; i++) {
            free(held[i]);
        }
    }
    pthread_barrier_wait(&filled);
    if (index == 0) {
        look();
    }
    pthread_barrier_wait(&looked_at);
}

int main(void) {
    life_require_goalloc();
    get_stats = (void (*)(struct goalloc_stats *))dlsym(RTLD_DEFAULT, "goalloc_get_stats");
    CHECK(get_stats != NULL, "no statistics");
    pthread_barrier_init(&filled, NULL, THREADS);
    pthread_barrier_init(&looked_at, NULL, THREADS);
    for (int i = 0; i < GENERATIONS; i++) {
        run_threads(THREADS, fill_cache);
    }
    printf("%zu to %zu KiB are cached\n", least_cached / KIB, most_cached / KIB);
    fflush(stdout);
    CHECK(most_cached <= ALLOWED, "%zu KiB are cached, want at most %zu", most_cached / KIB,
          ALLOWED / KIB);
    CHECK(least_cached >= LEAST, "only %zu KiB are cached", least_cached / KIB);
    return 0;
}
