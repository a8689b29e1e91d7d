/*
 * The slow half of the thread cache. See mcache.h and README.md.
 *
 * A signal handler may allocate while this code runs. Its fast path then works on the other
 * classes' magazines, and on this class it must miss: so the top of a class is 0 whenever its
 * magazines are in other than their resting state, from unload to load.
 */
#include "mcache.h"

#include "fatal.h"
#include "fixalloc.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "registry.h"
#include "sparse.h"
#include "stackcache.h"

enum { SWEEP_EVERY = 128 }; /* slow operations between two looks for idle classes */
enum { DRAIN_EVERY = 128 }; /* pages that spans are made of between two looks for spans to drain */

/* What a thread may cache without asking, and by how much it asks for more. */
#define OWN_BUDGET (512 * KIB)
#define BUDGET_STEP (128 * KIB)

/* What it may keep of large blocks: one of the first threads, or its part of what those may, since
 * nobody can take them from a thread that is idle. */
#define LARGE_MOST (256 * KIB)
enum { FIRST_THREADS = 16 };

_Thread_local struct mcache_front mcache_front;

__attribute__((aligned(MAGAZINE_BYTES))) const struct magazine mcache_no_magazine = {0};

static struct fixalloc pool = FIXALLOC_INIT(sizeof(struct mcache), CACHE_LINE);
static struct fixalloc hidden_pool = FIXALLOC_INIT(sizeof(struct mcache_front), CACHE_LINE);
static _Atomic size_t extra_budget; /* what threads have been granted beyond their own */

/* ---- creation ---- */

struct mcache *mcache_create(struct mcache_front *front) {
    struct mcache *cache = fixalloc_alloc(&pool);
    if (cache == NULL) {
        return NULL;
    }
    memset(cache, 0, sizeof *cache);
    cache->front = front;
    cache->budget = min_size(OWN_BUDGET, options.thread_cache_max);
    size_t caches = registry_add(cache);
    size_t large = LARGE_MOST * FIRST_THREADS / max_size(caches, FIRST_THREADS);
    cache->large.most = min_size(large, options.thread_cache_max);
    return cache;
}

/* Busy for ever: in the child of a fork nobody knows where the other threads stood in it. */
struct mcache *mcache_create_hidden(void) {
    struct mcache_front *front = fixalloc_alloc(&hidden_pool);
    if (front == NULL) {
        return NULL;
    }
    memset(front, 0, sizeof *front);
    atomic_store_explicit(&front->busy, true, memory_order_relaxed);
    struct mcache *cache = mcache_create(front);
    if (cache == NULL) {
        fixalloc_free(&hidden_pool, front);
    }
    return cache;
}

static void destroy_front(struct mcache_front *front) {
    if (front != &mcache_front) {
        fixalloc_free(&hidden_pool, front);
    }
}

/* ---- magazines at rest and in use ---- */

static void unload(struct mcache *cache, unsigned class) {
    struct magazine *loaded = cache->bins[class].loaded;
    uintptr_t top = cache->front->top[class];
    cache->front->top[class] = 0;
    atomic_signal_fence(memory_order_seq_cst);
    if (loaded != NULL && top != 0) {
        loaded->count = (uint32_t)(mcache_slot(top) - magazine_lowest(loaded));
    }
}

static void load(struct mcache *cache, unsigned class) {
    atomic_signal_fence(memory_order_seq_cst);
    cache->front->top[class] = mcache_top(magazine_top(cache->bins[class].loaded));
}

/* The shard that serves the class: the thread's own once the class is hot. */
static unsigned home(const struct mcache *cache, unsigned class) {
    bool hot = magazine_is_largest(cache->bins[class].capacity, class_to_size[class]);
    return hot ? cache->shard : 0;
}

static void swap(struct bin *bin) {
    struct magazine *magazine = bin->loaded;
    bin->loaded = bin->spare;
    bin->spare = magazine;
}

static void give_back(unsigned class, struct magazine *magazine) {
    if (magazine->count > 0) {
        mcentral_give(class, magazine_lowest(magazine), magazine->count, "free");
        magazine->count = 0;
    }
}

/* ---- capacity ---- */

/* Of a class that begins: 8, so that a thread which uses a class once sets nothing much aside.
 * Fewer of more than 128 bytes; 16 of 8 bytes, which is a pair of cache lines: processors fetch
 * them together, and two threads must not share one. */
static unsigned first_capacity(size_t size) {
    size_t most = max_size(8, 2 * CACHE_LINE / size);
    return (unsigned)max_size(1, min_size(KIB / size, most));
}

/* What a bin with two magazines of so many objects may hold. */
static size_t magazine_cost(unsigned capacity, unsigned class) {
    return 2 * (size_t)capacity * class_to_size[class];
}

static bool ask_for_budget(struct mcache *cache, size_t more) {
    size_t step = max_size(more, BUDGET_STEP);
    if (cache->budget + step > options.thread_cache_max) {
        return false;
    }
    if (atomic_fetch_add_explicit(&extra_budget, step, memory_order_relaxed) + step >
        options.cache_max) {
        atomic_fetch_sub_explicit(&extra_budget, step, memory_order_relaxed);
        return false;
    }
    cache->budget += step;
    return true;
}

static void return_budget(const struct mcache *cache) {
    size_t own = min_size(OWN_BUDGET, options.thread_cache_max);
    atomic_fetch_sub_explicit(&extra_budget, cache->budget - own, memory_order_relaxed);
}

/* More capacity for the bin, if the budget allows. */
static bool set_capacity(struct mcache *cache, unsigned class, unsigned capacity) {
    struct bin *bin = &cache->bins[class];
    size_t cost = magazine_cost(capacity - bin->capacity, class);
    if (cache->spent + cost > cache->budget && !ask_for_budget(cache, cost)) {
        return false;
    }
    cache->spent += cost;
    bin->capacity = (uint8_t)capacity;
    return true;
}

/* The class begins, or it missed: its next magazine may be twice as large. Without budget for a
 * first one the capacity stays 0, and the class is served object by object. */
static void grow_capacity(struct mcache *cache, unsigned class) {
    unsigned capacity = cache->bins[class].capacity;
    size_t size = class_to_size[class];
    if (!magazine_is_largest(capacity, size)) {
        unsigned wanted = capacity == 0 ? first_capacity(size) : 2 * capacity;
        set_capacity(cache, class, (unsigned)min_size(wanted, magazine_capacity_most(size)));
    }
}

static void destroy_magazine(unsigned class, struct magazine **magazine) {
    if (*magazine != NULL) {
        give_back(class, *magazine);
        magazine_destroy(*magazine);
        *magazine = NULL;
    }
}

static void reset_bin(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    unload(cache, class);
    destroy_magazine(class, &bin->loaded);
    destroy_magazine(class, &bin->spare);
    cache->spent -= magazine_cost(bin->capacity, class);
    bin->capacity = 0;
    bin->taken = false;
}

/* Gives back what a thread left behind that is not in this child of a fork. */
static SLOW_PATH void destroy_abandoned(struct mcache *cache) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        destroy_magazine(class, &cache->bins[class].loaded);
        destroy_magazine(class, &cache->bins[class].spare);
    }
    largecache_flush(&cache->large);
    stackcache_destroy(cache->stacks);
    return_budget(cache);
    fixalloc_free(&pool, cache);
}

/* Every so often: a class that has not come this way since the last time, and whose top is where it
 * was, is idle. Its objects go back, and the empty spans of the thread's shard. */
static void sweep(struct mcache *cache) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct bin *bin = &cache->bins[class];
        uint32_t top = (uint32_t)cache->front->top[class];
        if (!bin->used && bin->top == top) {
            if (bin->loaded != NULL || bin->spare != NULL) {
                reset_bin(cache, class);
            }
            mcentral_trim(cache->shard, class);
        }
        bin->used = false;
        bin->top = top;
    }
    struct mcache *abandoned = registry_take_abandoned();
    if (UNLIKELY(abandoned != NULL)) {
        destroy_abandoned(abandoned);
    }
}

static void count_operation(struct mcache *cache, unsigned class) {
    cache->bins[class].used = true;
    if (++cache->operations % SWEEP_EVERY == 0) {
        sweep(cache);
    }
}

/* ---- refill ---- */

/* A class that is allocated of, while the heap hands out pages: its objects, where they lie
 * scattered, might do with fewer. */
static void drain(struct bin *bin, unsigned class) {
    uint16_t now = (uint16_t)(mheap_taken() / DRAIN_EVERY);
    if (bin->drained != now) {
        bin->drained = now;
        for (unsigned shard = 0; shard < mcentral_shards(); shard++) {
            if (sparse_is(shard, class)) {
                sparse_drain(shard, class);
            }
        }
    }
}

/* The first allocation of the class. */
static bool start_bin(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    if (bin->capacity == 0) {
        grow_capacity(cache, class);
    }
    bin->loaded = bin->capacity > 0 ? magazine_create() : NULL;
    return bin->loaded != NULL;
}

static bool refill_from_spans(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    unsigned got =
        mcentral_take(home(cache, class), class, magazine_end(bin->loaded), bin->capacity);
    if (got == 0) {
        return false;
    }
    bin->loaded->count = got;
    bin->loaded->capacity = got;
    magazine_lowest(bin->loaded)[-1] = NULL;
    grow_capacity(cache, class);
    return true;
}

/* The loaded magazine is empty; it has objects afterwards, if there is memory. */
static bool reload(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    if (bin->spare != NULL && bin->spare->count > 0) {
        swap(bin);
        return true;
    }
    return refill_from_spans(cache, class);
}

static void *take_one(unsigned class) {
    void *object = NULL;
    mcentral_take(0, class, &object + 1, 1);
    return object;
}

void *mcache_refill(struct mcache *cache, unsigned class) {
    if (UNLIKELY(cache == NULL)) {
        return take_one(class);
    }
    struct bin *bin = &cache->bins[class];
    struct magazine *foreign = bin->loaded == NULL ? bin->spare : NULL;
    void *object = NULL;
    unload(cache, class);
    count_operation(cache, class);
    bin->taken = true;
    drain(bin, class);
    if (bin->loaded == NULL && !start_bin(cache, class)) {
        return take_one(class);
    }
    bin->spare = foreign != NULL ? NULL : bin->spare;
    if (bin->loaded->count > 0 || reload(cache, class)) {
        object = magazine_pop(bin->loaded);
    }
    destroy_magazine(class, &foreign); /* only now, or they would have come back at once */
    if (bin->loaded->capacity > 0) {
        load(cache, class);
    }
    return object;
}

/* ---- overflow ---- */

/* A free before the first allocation of the class. False: no room there (any more). */
static bool collect_foreign(struct mcache *cache, unsigned class, void *object) {
    struct bin *bin = &cache->bins[class];
    if (bin->spare == NULL) {
        grow_capacity(cache, class);
        bin->spare = bin->capacity > 0 ? magazine_create() : NULL;
        if (bin->spare == NULL) {
            return false;
        }
        magazine_set_capacity(bin->spare, bin->capacity);
    }
    if (bin->spare->count == bin->spare->capacity) {
        return false;
    }
    magazine_push(bin->spare, object);
    return true;
}

/* Half of the full magazine's objects, or fewer where the other has some, move to the loaded one:
 * a program that goes up and down by a few here is to find both objects and room in it. */
static void share(struct magazine *loaded, struct magazine *full) {
    uint32_t half = full->count / 2;
    if (loaded->count < half) {
        magazine_move(loaded, full, half - loaded->count);
    }
}

/* The loaded magazine is full; afterwards it has room. As long as no malloc has missed, as in a
 * thread that only frees, there is no spare one: nobody has asked for what would be in it. */
static void unfill(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    if (bin->loaded->capacity < bin->capacity) {
        magazine_set_capacity(bin->loaded, bin->capacity);
        return;
    }
    if (bin->spare == NULL && bin->taken) {
        bin->spare = magazine_create();
    }
    bool full = bin->spare == NULL || magazine_is_full(bin->spare);
    if (bin->spare != NULL) {
        swap(bin);
    }
    if (full) {
        grow_capacity(cache, class);
        give_back(class, bin->loaded);
    }
    magazine_set_capacity(bin->loaded, bin->capacity);
    if (!full) {
        share(bin->loaded, bin->spare);
    }
}

void mcache_overflow(struct mcache *cache, unsigned class, void *object, const char *call) {
    if (UNLIKELY(cache == NULL)) {
        mcentral_give(class, &object, 1, call);
        return;
    }
    struct bin *bin = &cache->bins[class];
    if (cache->front->top[class] != 0 && mcache_slot(cache->front->top[class])[-1] == object) {
        fatal_misuse(call, object, "double free of a %u-byte object", class_to_size[class]);
    }
    unload(cache, class);
    count_operation(cache, class);
    if (bin->loaded == NULL) {
        if (collect_foreign(cache, class, object)) {
            return;
        }
        swap(bin); /* a thread that frees and does not allocate: the usual way from here on */
    }
    if (bin->loaded != NULL && bin->loaded->count == bin->loaded->capacity) {
        unfill(cache, class);
    }
    if (bin->loaded == NULL) {
        mcentral_give(class, &object, 1, call);
        return;
    }
    magazine_push(bin->loaded, object);
    load(cache, class);
}

/* ---- without the fast paths ---- */

static void swap_with_random(struct mcache *cache, unsigned class, void **last, uint32_t random) {
    void **lowest = magazine_lowest(cache->bins[class].loaded);
    void **other = lowest + ((uint64_t)random * (uint64_t)(last + 1 - lowest) >> 32);
    void *object = *last;
    *last = *other;
    *other = object;
}

void *mcache_pop(struct mcache *cache, unsigned class, uint32_t random) {
    if (cache == NULL) {
        return mcache_refill(cache, class);
    }
    uintptr_t top = cache->front->top[class];
    void **last = mcache_slot(top) - 1;
    if (*last == NULL) {
        return mcache_refill(cache, class);
    }
    if (random != 0) {
        swap_with_random(cache, class, last, random);
    }
    cache->front->top[class] = top - sizeof(void *);
    return *last;
}

void mcache_push(struct mcache *cache, unsigned class, void *object, const char *call) {
    if (cache == NULL || cache->front->top[class] % MAGAZINE_BYTES == 0) {
        mcache_overflow(cache, class, object, call);
    } else {
        *mcache_slot(cache->front->top[class]) = object;
        cache->front->top[class] += sizeof(void *);
    }
}

/* ---- the end ---- */

void mcache_flush(struct mcache *cache) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        reset_bin(cache, class);
    }
    largecache_flush(&cache->large);
}

void mcache_destroy(struct mcache *cache) {
    mcache_flush(cache);
    return_budget(cache);
    registry_remove(cache);
    destroy_front(cache->front);
    fixalloc_free(&pool, cache);
}

void mcache_reset_in_child(void) {
    fixalloc_reset_in_child(&pool);
    fixalloc_reset_in_child(&hidden_pool);
}
