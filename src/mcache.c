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
#include "lock.h"
#include "depot.h"
#include "mcentral.h"
#include "options.h"
#include "os.h"
#include "stackcache.h"

enum { SWEEP_EVERY = 128 }; /* slow operations between two looks for idle classes */

/* What a thread may cache without asking, and by how much it asks for more. */
#define OWN_BUDGET (512 * KIB)
#define BUDGET_STEP (128 * KIB)

/*
 * loaded == NULL: nothing was allocated here yet, and then spare, if any, is "foreign": it collects
 * objects of other threads that this one frees before it ever allocates. They go back rather than
 * be reused here, so that two threads do not come to own objects in one cache line.
 */
struct bin {
    struct magazine *loaded;
    struct magazine *spare;
    uint8_t capacity; /* of the next magazine that starts empty; 0: the bin is unused */
    bool used;        /* on the slow path, since the last sweep */
    uint32_t top;     /* the low half of the class's top then; 0: nothing loaded */
};

/* spent == the sum over the bins of 2 * capacity * size, and spent <= budget. */
struct mcache {
    struct mcache_front *front;
    struct mcache *next; /* the list of all caches, under the registry's lock */
    struct mcache *prev;
    size_t budget;
    size_t spent;
    unsigned operations;
    unsigned shard;            /* of the mcentral */
    struct stackcache *stacks; /* of an abandoned one: its thread's */
    struct bin bins[CLASS_COUNT];
};

_Thread_local struct mcache_front mcache_front;

__attribute__((aligned(MAGAZINE_BYTES))) const struct magazine mcache_no_magazine = {0};

static struct fixalloc pool = FIXALLOC_INIT(sizeof(struct mcache), CACHE_LINE);
static struct fixalloc hidden_pool = FIXALLOC_INIT(
    (sizeof(struct mcache_front) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE, CACHE_LINE);
static struct lock registry_lock = LOCK_INIT;
static struct mcache *registry;
static size_t registered;
static _Atomic(struct mcache *) abandoned;   /* of threads that a fork left behind */
static size_t shard_caches[MCENTRAL_SHARDS]; /* how many caches each shard has */
static _Atomic size_t extra_budget;          /* what threads have been granted beyond their own */

/* ---- creation ---- */

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

static void enlist(struct mcache *cache) {
    lock_acquire(&registry_lock);
    cache->shard = emptiest_shard();
    cache->prev = NULL;
    cache->next = registry;
    if (registry != NULL) {
        registry->prev = cache;
    }
    registry = cache;
    registered++;
    shard_caches[cache->shard]++;
    lock_release(&registry_lock);
}

static void delist(struct mcache *cache) {
    lock_acquire(&registry_lock);
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
    lock_release(&registry_lock);
}

struct mcache *mcache_create(struct mcache_front *front) {
    struct mcache *cache = fixalloc_alloc(&pool);
    if (cache == NULL) {
        return NULL;
    }
    memset(cache, 0, sizeof *cache);
    cache->front = front;
    cache->budget = min_size(OWN_BUDGET, options.thread_cache_max);
    enlist(cache);
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
    bool hot = cache->bins[class].capacity == magazine_capacity_most(class_to_size[class]);
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
 * Fewer of more than 256 bytes; 16 of 8 bytes, which is a pair of cache lines: processors fetch
 * them together, and two threads must not share one. */
static unsigned first_capacity(size_t size) {
    size_t most = max_size(8, 2 * CACHE_LINE / size);
    return (unsigned)max_size(1, min_size(2 * KIB / size, most));
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
    unsigned wanted = capacity == 0 ? first_capacity(class_to_size[class]) : 2 * capacity;
    set_capacity(cache, class,
                 (unsigned)min_size(wanted, magazine_capacity_most(class_to_size[class])));
}

/* A full magazine of another thread may be larger than those of this one: the bin grows, or what is
 * beyond it goes back. */
static void match_capacity(struct mcache *cache, unsigned class, struct magazine *full) {
    unsigned capacity = cache->bins[class].capacity;
    if (full->capacity > capacity && !set_capacity(cache, class, full->capacity)) {
        mcentral_give(class, magazine_lowest(full), full->count - capacity, "free");
        full->count = full->capacity = capacity;
        magazine_lowest(full)[-1] = NULL;
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
}

/* The slots of a magazine that a top, of which only the low half is known, has below it. */
__attribute__((no_sanitize("thread"))) static size_t slots_below(const struct magazine *magazine,
                                                                 uint32_t top) {
    size_t end = top % MAGAZINE_BYTES == 0 ? MAGAZINE_BYTES : top % MAGAZINE_BYTES;
    size_t lowest = MAGAZINE_BYTES - magazine->capacity * sizeof(void *);
    return end > lowest ? (end - lowest) / sizeof(void *) : 0;
}

/* Gives one of them back, see abandon. */
static SLOW_PATH void reclaim_abandoned(void) {
    lock_acquire(&registry_lock);
    struct mcache *cache = atomic_load_explicit(&abandoned, memory_order_relaxed);
    if (cache != NULL) {
        atomic_store_explicit(&abandoned, cache->next, memory_order_relaxed);
    }
    lock_release(&registry_lock);
    for (unsigned class = 1; cache != NULL && class < CLASS_COUNT; class++) {
        struct bin *bin = &cache->bins[class];
        if (bin->loaded != NULL && bin->top != 0) {
            bin->loaded->count = (uint32_t)slots_below(bin->loaded, bin->top);
        }
        destroy_magazine(class, &bin->loaded);
        destroy_magazine(class, &bin->spare);
    }
    if (cache != NULL) {
        stackcache_destroy(cache->stacks);
        fixalloc_free(&pool, cache);
    }
}

/* Every so often: a class that has not come this way since the last time, and whose top is where it
 * was, is idle. Its objects go back, and what nobody needed of its depot. */
static void sweep(struct mcache *cache) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct bin *bin = &cache->bins[class];
        uint32_t top = (uint32_t)cache->front->top[class];
        if (!bin->used && bin->top == top) {
            if (bin->loaded != NULL) {
                reset_bin(cache, class);
            }
            depot_trim(cache->shard, class);
        }
        bin->used = false;
        bin->top = top;
    }
    if (UNLIKELY(atomic_load_explicit(&abandoned, memory_order_relaxed) != NULL)) {
        reclaim_abandoned();
    }
}

static void count_operation(struct mcache *cache, unsigned class) {
    cache->bins[class].used = true;
    if (++cache->operations % SWEEP_EVERY == 0) {
        sweep(cache);
    }
}

/* ---- refill ---- */

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

/* The loaded magazine is empty; it is full of objects afterwards, if there is memory. */
static bool reload(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    if (bin->spare != NULL && bin->spare->count > 0) {
        swap(bin);
        return true;
    }
    struct magazine *full = depot_take(home(cache, class), class, bin->spare);
    if (full == NULL) {
        return refill_from_spans(cache, class);
    }
    bin->spare = bin->loaded;
    bin->loaded = full;
    match_capacity(cache, class, full);
    return true;
}

static void *take_one(unsigned class) {
    void *object = NULL;
    mcentral_take(0, class, &object + 1, 1);
    return object;
}

void *mcache_refill(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    struct magazine *foreign = bin->loaded == NULL ? bin->spare : NULL;
    void *object = NULL;
    unload(cache, class);
    count_operation(cache, class);
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

/* Both magazines are full: the spare one goes to the depot, or its objects to their spans. Returns
 * an empty magazine, NULL: no memory for one. */
static struct magazine *empty_spare(struct bin *bin, unsigned class) {
    struct magazine *empty;
    if (!depot_put(class, bin->spare, &empty)) {
        give_back(class, bin->spare);
        return bin->spare;
    }
    bin->spare = NULL;
    return empty != NULL ? empty : magazine_create();
}

/* The loaded magazine is full; afterwards it has room, or is NULL. */
static void unfill(struct mcache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    struct magazine *empty = bin->spare;
    if (bin->loaded->capacity < bin->capacity) {
        magazine_set_capacity(bin->loaded, bin->capacity);
        return;
    }
    if (empty == NULL) {
        empty = magazine_create();
    } else if (empty->count > 0) {
        grow_capacity(cache, class);
        empty = empty_spare(bin, class);
    }
    bin->spare = bin->loaded;
    bin->loaded = empty;
    if (empty != NULL) {
        empty->count = 0;
        magazine_set_capacity(empty, bin->capacity);
    }
}

void mcache_overflow(struct mcache *cache, unsigned class, void *object, const char *call) {
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
        return take_one(class);
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
    if (cache == NULL) {
        mcentral_give(class, &object, 1, call);
    } else if (cache->front->top[class] % MAGAZINE_BYTES == 0) {
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
}

void mcache_destroy(struct mcache *cache) {
    mcache_flush(cache);
    size_t own = min_size(OWN_BUDGET, options.thread_cache_max);
    atomic_fetch_sub_explicit(&extra_budget, cache->budget - own, memory_order_relaxed);
    delist(cache);
    destroy_front(cache->front);
    fixalloc_free(&pool, cache);
}

/* ---- statistics and fork ---- */

/* Another thread goes on meanwhile: each of its fields is read once, and the count is clipped to
 * what a bin can hold. Magazines stay readable for ever. */
__attribute__((no_sanitize("thread"))) static size_t bin_count(const struct mcache *cache,
                                                               unsigned class) {
    const volatile struct bin *bin = &cache->bins[class];
    const struct magazine *loaded = bin->loaded, *spare = bin->spare;
    uintptr_t top = *(const volatile uintptr_t *)&cache->front->top[class];
    size_t count = spare != NULL ? spare->count : 0;
    if (loaded != NULL && top != 0) {
        count += slots_below((const struct magazine *)loaded, (uint32_t)top);
    }
    return min_size(count, (size_t)2 * MAGAZINE_MOST);
}

size_t mcache_total_bytes(size_t *caches) {
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
__attribute__((no_sanitize("thread"))) size_t mcache_total_stacks(size_t *bytes) {
    size_t stacks = 0;
    *bytes = 0;
    lock_acquire(&registry_lock);
    for (const struct mcache *cache = registry; cache != NULL; cache = cache->next) {
        stackcache_count(cache->front->stacks, &stacks, bytes);
    }
    lock_release(&registry_lock);
    return stacks;
}

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
    if (atomic_load_explicit(&cache->front->busy, memory_order_relaxed)) {
        return;
    }
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        cache->bins[class].top = (uint32_t)cache->front->top[class];
    }
    cache->stacks = cache->front->stacks;
    cache->next = atomic_load_explicit(&abandoned, memory_order_relaxed);
    atomic_store_explicit(&abandoned, cache, memory_order_relaxed);
}

void mcache_reset_lock_in_child(void) {
    fixalloc_reset_in_child(&pool);
    fixalloc_reset_in_child(&hidden_pool);
    if (lock_reset_in_child(&registry_lock)) {
        registry = NULL; /* it was being changed; what it listed is lost to the statistics */
        registered = 0;
    }
}

/* The child's only thread was interrupted by the handler that forked, while it read or changed the
 * list, and will go on with it: the list stays, with threads that have nothing loaded. */
static void disarm_registry(const struct mcache *mine) {
    static struct mcache_front gone;
    for (struct mcache *cache = registry; cache != NULL; cache = cache->next) {
        cache->front = cache == mine ? cache->front : &gone;
    }
}

void mcache_reset_in_child(struct mcache *mine) {
    fixalloc_reset_in_child(&pool);
    fixalloc_reset_in_child(&hidden_pool);
    if (lock_is_mine(&registry_lock)) {
        disarm_registry(mine);
        return;
    }
    struct mcache *other = lock_reset_in_child(&registry_lock) ? NULL : registry;
    bool interrupted =
        mine != NULL && atomic_load_explicit(&mine->front->busy, memory_order_relaxed);
    registry = NULL;
    registered = 0;
    memset(shard_caches, 0, sizeof shard_caches);
    while (other != NULL) {
        struct mcache *next = other->next;
        if (other != mine && !interrupted) {
            abandon(other);
        }
        other = next;
    }
    if (mine != NULL) {
        enlist(mine);
    }
}
