/*
 * The slow half of the thread cache. See mcache.h and README.md.
 *
 * A signal handler may allocate while this code runs. Its fast path then works on the other
 * classes' magazines, and on this class it must miss: so the top of a class is 0 whenever its
 * magazines are in other than their resting state, from unload to load.
 */
#include "mcache.h"

#include "arena.h"
#include "fatal.h"
#include "fixalloc.h"
#include "magazine.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "registry.h"
#include "sparse.h"
#include "stackcache.h"

enum { SWEEP_EVERY = 128 }; /* slow operations between two looks whether a class is idle */
static_assert((int)CLASS_COUNT <= (int)SWEEP_EVERY, "one class at an operation");

/* Pages that the heap hands out between two looks for spans to drain; and how many halves of a
 * magazine go back in a row before the class counts as one that is only freed of. */
enum { DRAIN_EVERY = 32, ONLY_FREED = 16 };

/* What a thread may cache without asking, and by how much it asks for more. */
#define OWN_BUDGET (512 * KIB)
#define BUDGET_STEP (128 * KIB)

/* What it may keep of large blocks: one of the first threads, or its part of what those may, since
 * nobody can take them from a thread that is idle. */
#define LARGE_MOST (256 * KIB)
enum { FIRST_THREADS = 16 };

_Thread_local struct mcache_front mcache_front;

const void *const mcache_no_magazine[2] = {NULL, NULL};

static struct fixalloc pool = FIXALLOC_INIT(sizeof(struct mcache), CACHE_LINE);
static struct fixalloc hidden_pool = FIXALLOC_INIT(sizeof(struct mcache_front), CACHE_LINE);
static _Atomic size_t extra_budget; /* what threads have been granted beyond their own */
static _Atomic size_t drained;      /* mheap_taken in DRAIN_EVERY, at the last look */

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
    struct magazine *magazine = cache->bins[class].magazine;
    uintptr_t top = cache->front->top[class];
    cache->front->top[class] = 0;
    atomic_signal_fence(memory_order_seq_cst);
    if (magazine != NULL && top != 0) {
        magazine->count = (uint32_t)(mcache_slot(top) - magazine_lowest(magazine));
    }
}

static void load(struct mcache *cache, unsigned class) {
    atomic_signal_fence(memory_order_seq_cst);
    cache->front->top[class] = mcache_top(magazine_top(cache->bins[class].magazine));
}

/* The shard that serves the class: the thread's own once the class is hot. */
static unsigned home(const struct mcache *cache, unsigned class) {
    unsigned capacity = cache->bins[class].magazine->capacity;
    return magazine_is_largest(capacity, class_to_size[class]) ? cache->shard : 0;
}

/* The n that were freed longest ago. */
static void give_back(unsigned class, struct magazine *magazine, uint32_t n) {
    mcentral_give(class, magazine_lowest(magazine), n, "free");
    magazine_drop_lowest(magazine, n);
}

static_assert((int)MAGAZINE_MOST / 2 <= (int)MCENTRAL_MOST, "half of one goes back at once");

/* The same for as many as may be there. */
static void give_back_parts(unsigned class, struct magazine *magazine, uint32_t n) {
    for (uint32_t part; n > 0; n -= part) {
        part = (uint32_t)min_size(n, MCENTRAL_MOST);
        give_back(class, magazine, part);
    }
}

static void destroy_magazine(unsigned class, struct magazine *magazine) {
    give_back_parts(class, magazine, magazine->count);
    magazine_destroy(magazine);
}

/* ---- capacity ---- */

/* Twice what a thread gets at first: 8, so that one which uses a class once sets nothing much
 * aside. Fewer of more than 128 bytes; 16 of 8 bytes, which is a pair of cache lines: processors
 * fetch them together, and two threads must not share one. */
static unsigned first_capacity(size_t size) {
    size_t most = max_size(8, 2 * CACHE_LINE / size);
    return 2 * (unsigned)max_size(1, min_size(KIB / size, most));
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

static bool spend(struct mcache *cache, size_t bytes) {
    if (cache->spent + bytes > cache->budget && !ask_for_budget(cache, bytes)) {
        return false;
    }
    cache->spent += bytes;
    return true;
}

static void unspend(struct mcache *cache, const struct magazine *magazine, unsigned class) {
    cache->spent -= magazine->capacity * class_to_size[class];
}

/* A thread that only frees gets half of the largest magazine, since nobody asks for what is in
 * it. */
static unsigned part_of_most(const struct bin *bin) {
    return bin->taken ? 1 : 2;
}

static bool is_largest(const struct bin *bin, unsigned class) {
    unsigned capacity = bin->magazine != NULL ? bin->magazine->capacity : 0;
    return magazine_is_largest(part_of_most(bin) * (capacity + 1) - 1, class_to_size[class]);
}

/* Gets a first magazine, or one of twice the capacity. False: no budget or no memory for it. */
static bool grow(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    struct magazine *old = bin->magazine;
    size_t size = class_to_size[class], now = old != NULL ? old->capacity : 0;
    size_t most = magazine_capacity_most(size) / part_of_most(bin);
    size_t capacity = min_size(now == 0 ? first_capacity(size) : 2 * now, most);
    if (!spend(cache, (capacity - now) * size)) {
        return false;
    }
    struct magazine *magazine = magazine_create((unsigned)capacity);
    if (magazine == NULL) {
        cache->spent -= (capacity - now) * size;
        return false;
    }
    if (old != NULL) {
        magazine_move(magazine, old);
        magazine_destroy(old);
    }
    bin->magazine = magazine;
    return true;
}

static void reset_bin(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    unload(cache, class);
    if (bin->magazine != NULL) {
        unspend(cache, bin->magazine, class);
        destroy_magazine(class, bin->magazine);
        bin->magazine = NULL;
    }
    bin->taken = false;
}

/* Gives back what a thread left behind that is not in this child of a fork. */
static SLOW_PATH void destroy_abandoned(struct mcache *cache) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        if (cache->bins[class].magazine != NULL) {
            destroy_magazine(class, cache->bins[class].magazine);
        }
    }
    largecache_flush(&cache->large);
    stackcache_destroy(cache->stacks);
    return_budget(cache);
    fixalloc_free(&pool, cache);
}

/* It has not come this way since the last sweep, and its top is where it was. */
static bool is_idle(const struct mcache *cache, unsigned class) {
    const struct bin *bin = &cache->bins[class];
    return !bin->used && bin->top == (uint32_t)cache->front->top[class];
}

/* The objects of a class that is idle go back, and empty spans of the thread's shard. */
static void sweep_class(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    if (is_idle(cache, class)) {
        if (bin->magazine != NULL) {
            reset_bin(cache, class);
        }
        mcentral_trim(cache->shard, class, MCENTRAL_TRIM_MOST);
    }
    bin->used = false;
    bin->top = (uint32_t)cache->front->top[class];
}

/* One class at an operation, so that none takes long; or a cache that a fork left behind. */
static void sweep(struct mcache *cache) {
    unsigned turn = cache->operations % SWEEP_EVERY;
    if (turn == 0) {
        struct mcache *abandoned = registry_take_abandoned();
        if (UNLIKELY(abandoned != NULL)) {
            destroy_abandoned(abandoned);
        }
    } else if (turn < CLASS_COUNT) {
        sweep_class(cache, turn);
    }
}

static bool drains(const void *object) {
    const struct arena *arena = arena_of((uintptr_t)object);
    return arena_page_class(arena, arena_page(arena, (uintptr_t)object)) == 0;
}

/* What the thread has of spans that drain goes back to them: malloc would take it next. The others
 * move up. */
static void give_draining(struct mcache *cache, unsigned class) {
    struct magazine *magazine = cache->bins[class].magazine;
    uintptr_t top = cache->front->top[class];
    if (magazine == NULL) {
        return;
    }
    unload(cache, class);
    void **lowest = magazine_lowest(magazine);
    uint32_t n = magazine->count;
    for (uint32_t i = n; i-- > 0;) {
        void *object = lowest[i];
        if (!drains(object)) {
            lowest[i] = lowest[--n];
            lowest[n] = object;
        }
    }
    give_back_parts(class, magazine, n);
    if (top != 0) {
        load(cache, class);
    }
}

/* While the heap hands out pages: where the objects of classes that the thread allocates of lie
 * scattered, fewer spans might do. One thread looks on behalf of all, in all shards: many would
 * read the same structs of the mcentral again and again. */
static void drain(struct mcache *cache) {
    size_t now = mheap_taken() / DRAIN_EVERY;
    if (LIKELY(atomic_load_explicit(&drained, memory_order_relaxed) == now)) {
        return;
    }
    atomic_store_explicit(&drained, now, memory_order_relaxed);
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        const struct bin *bin = &cache->bins[class];
        if (bin->taken && bin->only_freed < ONLY_FREED && !is_idle(cache, class) &&
            sparse_drain(class)) {
            give_draining(cache, class);
        }
    }
}

static void count_operation(struct mcache *cache, unsigned class) {
    cache->bins[class].used = true;
    cache->operations++;
    sweep(cache);
    drain(cache);
}

/* ---- refill ---- */

/* The magazine is empty; half of it has objects afterwards, if there is memory. */
static void fill(const struct mcache *cache, unsigned class) {
    struct magazine *magazine = cache->bins[class].magazine;
    unsigned want = (unsigned)max_size(magazine->capacity / 2, 1);
    void **end = magazine_lowest(magazine) + want;
    unsigned got = mcentral_take(home(cache, class), class, end, want);
    magazine->count = want;
    if (got < want) {
        magazine_drop_lowest(magazine, want - got);
    }
}

static void *take_one(unsigned class) {
    void *object = NULL;
    mcentral_take(0, class, &object + 1, 1);
    return object;
}

/* The magazine may have objects all the same: a handler of C++'s new has freed some. */
static void *take(struct mcache *cache, unsigned class) {
    const struct bin *bin = &cache->bins[class];
    if (!is_largest(bin, class)) {
        grow(cache, class);
    }
    if (bin->magazine == NULL) {
        return take_one(class);
    }
    if (bin->magazine->count == 0) {
        fill(cache, class);
    }
    void *object = bin->magazine->count > 0 ? magazine_pop(bin->magazine) : NULL;
    load(cache, class);
    return object;
}

void *mcache_refill(struct mcache *cache, unsigned class) {
    if (UNLIKELY(cache == NULL)) {
        return take_one(class);
    }
    struct bin *bin = &cache->bins[class];
    struct magazine *foreign = cache->front->top[class] == 0 ? bin->magazine : NULL;
    bin->magazine = foreign != NULL ? NULL : bin->magazine;
    unload(cache, class);
    count_operation(cache, class);
    bin->taken = true;
    bin->only_freed = 0;
    void *object = take(cache, class);
    if (foreign != NULL) { /* only now, or its objects would have come back at once */
        unspend(cache, foreign, class);
        destroy_magazine(class, foreign);
    }
    return object;
}

/* ---- overflow ---- */

/* Half of the full magazine goes back. If the first object freed after the last time is still where
 * it was put then, malloc has not come by it since. */
static void give_half(struct bin *bin, unsigned class) {
    struct magazine *magazine = bin->magazine;
    uint32_t half = magazine->count / 2;
    if (magazine_lowest(magazine)[magazine->count - half] != bin->marker) {
        bin->only_freed = 0;
    } else if (bin->only_freed < ONLY_FREED) {
        bin->only_freed++;
    }
    give_back(class, magazine, half);
}

/* The magazine is full; afterwards it has room. Where nobody takes, all goes back. */
static void make_room(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    if (!is_largest(bin, class) && grow(cache, class)) {
        return;
    }
    if (bin->taken) {
        give_half(bin, class);
    } else {
        give_back(class, bin->magazine, bin->magazine->count);
    }
}

/* As long as the class has not been allocated of, its objects are collected in a magazine that is
 * not loaded. Once that is full, this is a thread that frees what others allocate. */
void mcache_overflow(struct mcache *cache, unsigned class, void *object, const char *call) {
    if (UNLIKELY(cache == NULL)) {
        mcentral_give(class, &object, 1, call);
        return;
    }
    struct bin *bin = &cache->bins[class];
    uintptr_t top = cache->front->top[class];
    if (top != 0 && mcache_slot(top)[-1] == object) {
        fatal_misuse(call, object, "double free of a %u-byte object", class_to_size[class]);
    }
    unload(cache, class);
    count_operation(cache, class);
    if (bin->magazine == NULL && !grow(cache, class)) {
        mcentral_give(class, &object, 1, call);
        return;
    }
    bool foreign = top == 0 && !magazine_is_full(bin->magazine);
    if (magazine_is_full(bin->magazine)) {
        make_room(cache, class);
        bin->marker = object;
    }
    magazine_push(bin->magazine, object);
    if (!foreign) {
        load(cache, class);
    }
}

/* ---- without the fast paths ---- */

static void swap_with_random(struct mcache *cache, unsigned class, void **last, uint32_t random) {
    void **lowest = magazine_lowest(cache->bins[class].magazine);
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
    if (cache == NULL || *mcache_slot(cache->front->top[class]) == NULL) {
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
