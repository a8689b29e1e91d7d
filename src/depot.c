/* Full magazines between the threads' caches and the spans. See depot.h and README.md. */
#include "depot.h"

#include <stdatomic.h>

#include "lock.h"
#include "mcentral.h"
#include "sparse.h"

enum { DEPOT_MOST = 8 };

/* Magazines that go back at once of one depot, and objects and pages of all in a call of
 * depot_trim_some: objects that nobody has touched for long take some 100 ns each. */
enum { IDLE_AT_ONCE = 4, TRIMMED_AT_ONCE = 256 };

/* What a depot may hold of a class with large magazines. */
#define DEPOT_BYTES (64 * KIB)

/* count is the number of full ones. */
struct depot {
    struct lock lock;
    uint32_t count;
    uint32_t low; /* the least that count was since depot_trim came by */
    struct magazine *full;
    struct magazine *empties; /* left where full ones were taken */
} __attribute__((aligned(CACHE_LINE)));

static struct depot depots[MCENTRAL_SHARDS][CLASS_COUNT];
static _Atomic unsigned untrimmed; /* in this round: the depots before this one */

/* A guess, without the lock. */
__attribute__((no_sanitize("thread"))) static bool has_full(const struct depot *depot) {
    return *(struct magazine *const volatile *)&depot->full != NULL;
}

struct magazine *depot_take(unsigned shard, unsigned class, struct magazine *empty) {
    struct depot *depot = &depots[shard][class];
    if (!has_full(depot)) {
        return NULL;
    }
    lock_acquire(&depot->lock);
    struct magazine *full = depot->full;
    if (full != NULL) {
        depot->full = full->next;
        depot->count--;
        depot->low = (uint32_t)min_size(depot->low, depot->count);
        if (empty != NULL) {
            empty->next = depot->empties;
            depot->empties = empty;
        }
    }
    lock_release(&depot->lock);
    if (full != NULL) {
        __builtin_prefetch(full->next); /* the next to go; its head is read with the lock held */
    }
    return full;
}

/* Two in any case, for the exchange; then up to 8, or as many like this one as the bytes allow. */
static bool has_room_locked(const struct depot *depot, unsigned class,
                            const struct magazine *full) {
    size_t bytes = (size_t)full->count * class_to_size[class];
    return depot->count < 2 ||
           (depot->count < DEPOT_MOST && (depot->count + 1) * bytes <= DEPOT_BYTES);
}

bool depot_put(unsigned class, struct magazine *full, struct magazine **empty) {
    struct depot *depot = &depots[mcentral_shard_of(*magazine_lowest(full))][class];
    *empty = NULL;
    lock_acquire(&depot->lock);
    bool room = has_room_locked(depot, class, full);
    if (room) {
        full->next = depot->full;
        depot->full = full;
        depot->count++;
        *empty = depot->empties;
        if (*empty != NULL) {
            depot->empties = (*empty)->next;
        }
    }
    lock_release(&depot->lock);
    return room;
}

/* ---- giving back ---- */

static void destroy_empties(struct depot *depot) {
    lock_acquire(&depot->lock);
    struct magazine *empty = depot->empties;
    depot->empties = NULL;
    lock_release(&depot->lock);
    while (empty != NULL) {
        struct magazine *next = empty->next;
        magazine_destroy(empty);
        empty = next;
    }
}

static size_t give_back(unsigned shard, unsigned class, uint32_t n) {
    struct magazine *full;
    size_t objects = 0;
    for (; n > 0 && (full = depot_take(shard, class, NULL)) != NULL; n--) {
        mcentral_give(class, magazine_lowest(full), full->count, "free");
        objects += full->count;
        magazine_destroy(full);
    }
    destroy_empties(&depots[shard][class]);
    return objects;
}

static uint32_t idle(struct depot *depot) {
    lock_acquire(&depot->lock);
    uint32_t low = (uint32_t)min_size(depot->low, IDLE_AT_ONCE);
    depot->low = depot->count - low;
    lock_release(&depot->lock);
    return low;
}

size_t depot_trim(unsigned shard, unsigned class) {
    struct depot *depot = &depots[shard][class];
    uint32_t low = has_full(depot) ? idle(depot) : 0;
    size_t objects = low > 0 ? give_back(shard, class, low) : 0;
    return objects + mcentral_trim(shard, class);
}

void depot_begin_trim(void) {
    unsigned none = 0;
    atomic_compare_exchange_strong_explicit(&untrimmed, &none, mcentral_shards() * CLASS_COUNT,
                                            memory_order_relaxed, memory_order_relaxed);
}

bool depot_trim_some(void) {
    size_t cost = 0;
    unsigned left = atomic_load_explicit(&untrimmed, memory_order_relaxed);
    while (left > 0 && cost < TRIMMED_AT_ONCE) {
        unsigned i = left - 1;
        if (atomic_compare_exchange_weak_explicit(&untrimmed, &left, i, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            cost += depot_trim(i / CLASS_COUNT, i % CLASS_COUNT);
            left = i;
        }
    }
    return left > 0;
}

void depot_drain(unsigned class) {
    for (unsigned shard = 0; shard < mcentral_shards(); shard++) {
        if (sparse_is(shard, class)) {
            give_back(shard, class, UINT32_MAX);
            sparse_drain(shard, class);
        }
    }
}

/* A magazine may hold objects of several shards, so their spans come last. */
void depot_release_all(void) {
    unsigned depots_used = mcentral_shards() * CLASS_COUNT;
    for (unsigned i = 0; i < depots_used; i++) {
        if (has_full(&depots[i / CLASS_COUNT][i % CLASS_COUNT])) {
            give_back(i / CLASS_COUNT, i % CLASS_COUNT, UINT32_MAX);
        }
    }
    for (unsigned i = 0; i < depots_used; i++) {
        mcentral_trim(i / CLASS_COUNT, i % CLASS_COUNT);
    }
}

/* ---- statistics and fork ---- */

size_t depot_bytes(unsigned class) {
    size_t objects = 0;
    for (unsigned shard = 0; shard < mcentral_shards(); shard++) {
        struct depot *depot = &depots[shard][class];
        lock_acquire(&depot->lock);
        for (struct magazine *full = depot->full; full != NULL; full = full->next) {
            objects += full->count;
        }
        lock_release(&depot->lock);
    }
    return objects * class_to_size[class];
}

/* The lists change by single stores; only the count may be wrong. */
void depot_reset_in_child(void) {
    for (unsigned i = 0; i < MCENTRAL_SHARDS * CLASS_COUNT; i++) {
        struct depot *depot = &depots[i / CLASS_COUNT][i % CLASS_COUNT];
        if (lock_reset_in_child(&depot->lock)) {
            depot->count = depot->low = 0;
            for (struct magazine *full = depot->full; full != NULL; full = full->next) {
                depot->count++;
            }
        }
    }
}
