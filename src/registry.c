/* The list of all threads' caches. See registry.h and README.md. */
#include "registry.h"

#include <string.h>

#include "lock.h"
#include "magazine.h"
#include "mcache_struct.h"
#include "mcentral.h"
#include "os.h"
#include "stackcache.h"

static struct lock registry_lock = LOCK_INIT;
static struct mcache *registry;
static size_t registered;
static unsigned generation;                  /* one more in each child of a fork */
static _Atomic(struct mcache *) abandoned;   /* of threads that a fork left behind */
static size_t shard_caches[MCENTRAL_SHARDS]; /* how many caches each shard has */

/* ---- the list ---- */

/* Two shards a processor are enough to keep threads apart; each costs memory. The first thread
 * needs no system call to find shard 0. */
static unsigned shards_in_use(void) {
    static unsigned shards = 0;
    if (registered > 0 && shards == 0) {
        shards = (unsigned)min_size(2 * os_processors(), MCENTRAL_SHARDS);
    }
    return registered > 0 ? shards : 1;
}

/* The first of the shards with the fewest caches. */
static unsigned emptiest_shard(void) {
    unsigned best = 0;
    for (unsigned i = 1; i < shards_in_use(); i++) {
        best = shard_caches[i] < shard_caches[best] ? i : best;
    }
    return best;
}

size_t registry_add(struct mcache *cache) {
    lock_acquire(&registry_lock);
    cache->shard = cache->large.shard = emptiest_shard();
    cache->generation = generation;
    cache->prev = NULL;
    cache->next = registry;
    if (registry != NULL) {
        registry->prev = cache;
    }
    registry = cache;
    shard_caches[cache->shard]++;
    size_t caches = ++registered;
    lock_release(&registry_lock);
    return caches;
}

static void unlist_locked(struct mcache *cache) {
    if (cache->prev != NULL) {
        cache->prev->next = cache->next;
    } else {
        registry = cache->next;
    }
    if (cache->next != NULL) {
        cache->next->prev = cache->prev;
    }
    registered--;
    shard_caches[cache->shard]--;
}

void registry_remove(struct mcache *cache) {
    lock_acquire(&registry_lock);
    unlist_locked(cache);
    lock_release(&registry_lock);
}

/* ---- statistics ---- */

/* The slots of a magazine that a top, of which only the low half is known, has below it. */
__attribute__((no_sanitize("thread"))) static size_t slots_below(struct magazine *magazine,
                                                                 uint32_t top) {
    uint32_t bytes = top - (uint32_t)mcache_top(magazine_lowest(magazine));
    return min_size(bytes / sizeof(void *), magazine->capacity);
}

/* Another thread goes on meanwhile: each of its fields is read once, and the count is clipped to
 * what a magazine can hold. Magazines stay readable for ever. */
__attribute__((no_sanitize("thread"))) static size_t bin_count(const struct mcache *cache,
                                                               unsigned class) {
    const volatile struct bin *bin = &cache->bins[class];
    struct magazine *magazine = bin->magazine;
    uintptr_t top = *(const volatile uintptr_t *)&cache->front->top[class];
    size_t count = 0;
    if (magazine != NULL) {
        count = top != 0 ? slots_below(magazine, (uint32_t)top) : magazine->count;
    }
    return min_size(count, MAGAZINE_MOST);
}

/* Spans stay readable, too; the count may be stored before the last one. */
__attribute__((no_sanitize("thread"))) static void add_large(const struct mcache *cache,
                                                             struct registry_large *sum) {
    const volatile struct largecache *large = &cache->large;
    size_t count = min_size(large->count, LARGECACHE_OWN);
    for (size_t i = 0; i < count; i++) {
        const volatile struct span *span = large->span[i];
        if (span != NULL) {
            sum->bytes += (size_t)span->pages << PAGE_SHIFT;
            sum->leads += span->lead * (size_t)CACHE_LINE;
            sum->blocks++;
        }
    }
}

struct registry_large registry_total_large(void) {
    struct registry_large sum = {0};
    lock_acquire(&registry_lock);
    for (const struct mcache *cache = registry; cache != NULL; cache = cache->next) {
        add_large(cache, &sum);
    }
    lock_release(&registry_lock);
    return sum;
}

size_t registry_total_bytes(size_t *caches) {
    size_t bytes = 0;
    lock_acquire(&registry_lock);
    for (const struct mcache *cache = registry; cache != NULL; cache = cache->next) {
        for (unsigned class = 1; class < CLASS_COUNT; class++) {
            bytes += bin_count(cache, class) * class_to_size[class];
        }
    }
    *caches = registered;
    lock_release(&registry_lock);
    return bytes;
}

/* The same for stacks. A cache of stacks stays readable, too. */
__attribute__((no_sanitize("thread"))) size_t registry_total_stacks(size_t *bytes) {
    size_t stacks = 0;
    *bytes = 0;
    lock_acquire(&registry_lock);
    for (const struct mcache *cache = registry; cache != NULL; cache = cache->next) {
        stackcache_count(cache->front->stacks, &stacks, bytes);
    }
    lock_release(&registry_lock);
    return stacks;
}

/* ---- forks ---- */

/*
 * In the child of a fork. A thread that is not here stopped anywhere. Outside the slow path its
 * magazines are in order, but for one object that was on its way in or out and is lost; inside it,
 * all of its cache is lost.
 *
 * Most children only call exec, so nothing is given back at once: that would copy every page it
 * writes to. Of the thread's storage, which may be used for other things from now on, the tops are
 * kept; the caches wait on the list of abandoned ones for the sweeps of this process.
 */
static void abandon(struct mcache *cache) {
    bool reused = cache->front->cache != cache; /* by a thread that is here */
    if (reused || atomic_load_explicit(&cache->front->busy, memory_order_relaxed)) {
        return;
    }
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        cache->bins[class].top = (uint32_t)cache->front->top[class];
    }
    cache->stacks = cache->front->stacks;
    cache->next = atomic_load_explicit(&abandoned, memory_order_relaxed);
    atomic_store_explicit(&abandoned, cache, memory_order_relaxed);
}

void registry_begin_in_child(void) {
    generation++;
    if (lock_reset_in_child(&registry_lock)) {
        registry = NULL; /* it was being changed; what it listed is lost to the statistics */
        registered = 0;
        memset(shard_caches, 0, sizeof shard_caches);
    }
}

/* The child's only thread was interrupted by the handler that forked, while it read or changed the
 * list, and will go on with it: the list stays, with threads that have nothing loaded. */
static void disarm(const struct mcache *mine) {
    static struct mcache_front gone;
    for (struct mcache *cache = registry; cache != NULL; cache = cache->next) {
        cache->front = cache == mine ? cache->front : &gone;
    }
}

void registry_reset_in_child(struct mcache *mine, bool interrupted) {
    if (lock_is_mine(&registry_lock)) {
        disarm(mine);
        return;
    }
    lock_acquire(&registry_lock);
    for (struct mcache *cache = registry, *next; cache != NULL; cache = next) {
        next = cache->next;
        if (cache->generation != generation) {
            unlist_locked(cache);
            if (cache != mine && !interrupted) {
                abandon(cache);
            }
        }
    }
    lock_release(&registry_lock);
    if (mine != NULL && mine->generation != generation) {
        registry_add(mine);
    }
}

static SLOW_PATH struct mcache *take_abandoned(void) {
    lock_acquire(&registry_lock);
    struct mcache *cache = atomic_load_explicit(&abandoned, memory_order_relaxed);
    if (cache != NULL) {
        atomic_store_explicit(&abandoned, cache->next, memory_order_relaxed);
    }
    lock_release(&registry_lock);
    return cache;
}

/* What a thread would have noted when it unloaded its magazines. */
static void settle_counts(struct mcache *cache) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct bin *bin = &cache->bins[class];
        if (bin->magazine != NULL && bin->top != 0) {
            bin->magazine->count = (uint32_t)slots_below(bin->magazine, bin->top);
        }
    }
}

struct mcache *registry_take_abandoned(void) {
    if (LIKELY(atomic_load_explicit(&abandoned, memory_order_relaxed) == NULL)) {
        return NULL;
    }
    struct mcache *cache = take_abandoned();
    if (cache != NULL) {
        settle_counts(cache);
    }
    return cache;
}
