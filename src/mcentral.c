/* The spans of each class. See mcentral.h and README.md. */
#include "mcentral.h"

#include "arena.h"
#include "fatal.h"
#include "largecache.h"
#include "lock.h"
#include "mcentral_struct.h"
#include "mheap.h"
#include "sparse.h"

/* A class and shard gets spans from the heap, and gives empty ones back, in steps of this part of
 * what it has, up to so many pages. */
enum { STEP_PART = 16, STEP_MOST = 8 };

/* In pages: how much of empty spans a class and shard keeps at most; from what size on it keeps so
 * much; and how much is given back for one span that another class wants, so that it is rare. */
enum { EMPTY_MOST = 512, KEEPING_FROM = 16, RECLAIMED_AT_ONCE = 32 };

/* Fewer than 8 objects of a larger size are in a page. */
#define FEW_FROM KIB

WIDE_ARRAY struct mcentral mcentrals[MCENTRAL_SHARDS][CLASS_COUNT];
_Atomic unsigned mcentral_shards_used;
static _Atomic unsigned with_spare; /* how many of them have empty spans to spare */
static struct lock reclaim_lock = LOCK_INIT;
static _Atomic unsigned untrimmed; /* in this round: the classes and shards before this one */

static void set_shard(struct span *span, unsigned shard) {
    atomic_store_explicit(&span->shard, (uint8_t)shard, memory_order_relaxed);
}

static void note_use(unsigned shard) {
    unsigned used = atomic_load_explicit(&mcentral_shards_used, memory_order_relaxed);
    while (used <= shard &&
           !atomic_compare_exchange_weak_explicit(&mcentral_shards_used, &used, shard + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* ---- lists of spans, with the lock held ---- */

static size_t step_locked(const struct mcentral *central) {
    return min_size(central->pages / STEP_PART, STEP_MOST);
}

/* How many pages of empty spans stay: more where several threads would exchange them through the
 * heap, or where a way there and back is for a few objects only. */
static size_t empty_most_locked(const struct mcentral *central, unsigned class) {
    bool few = class_to_size[class] > FEW_FROM;
    return (__libc_single_threaded && !few) || central->pages < KEEPING_FROM
               ? min_size(central->pages / STEP_PART, EMPTY_MOST)
               : EMPTY_MOST;
}

/* One span, or a step of pages, would only go to the heap and come back. */
static size_t not_to_spare_locked(const struct mcentral *central, unsigned class) {
    return max_size(class_to_pages[class], step_locked(central));
}

static void note_spare_locked(struct mcentral *central, unsigned class) {
    bool spare = central->set.empty_pages > not_to_spare_locked(central, class);
    if (UNLIKELY(spare != atomic_load_explicit(&central->has_spare, memory_order_relaxed))) {
        atomic_store_explicit(&central->has_spare, spare, memory_order_relaxed);
        atomic_fetch_add_explicit(&with_spare, spare ? 1u : -1u, memory_order_relaxed);
    }
}

static void unlock(struct mcentral *central, unsigned class) {
    note_spare_locked(central, class);
    lock_release(&central->lock);
}

static void unlist_locked(struct mcentral *central, struct span *span) {
    bool draining = span->bucket == SPANSET_DRAINING;
    spanset_remove(&central->set, span);
    if (UNLIKELY(draining)) {
        arena_set_class(span, span->class);
    }
}

/* Takes empty spans out of a class, down to so many pages, and puts them on the list. Returns their
 * pages. */
static size_t take_empty_locked(struct mcentral *central, size_t keep, struct span **empty) {
    size_t before = central->set.empty_pages;
    while (central->set.empty_pages > keep) {
        struct span *span = spanset_emptiest(&central->set, SPANSET_DRAINING);
        unlist_locked(central, span);
        central->pages -= span->pages;
        span->next = *empty;
        *empty = span;
    }
    return before - central->set.empty_pages;
}

/* If they are too many now, a step of the empty spans goes on the list *empty, for the caller to
 * free without the lock. The last stays in any case. */
static void add_empty_locked(struct mcentral *central, struct span *span, struct span **empty) {
    bool is_last = spanset_is_empty(&central->set);
    size_t most = empty_most_locked(central, span->class), less = most - min_size(most, STEP_MOST);
    spanset_add(&central->set, span, SPANSET_EMPTY);
    if (central->set.empty_pages > most && !is_last) {
        take_empty_locked(central, max_size(less, span->pages), empty);
    }
}

/* Puts a span where its number of free objects wants it. One that drains comes by for each. */
static void relist_locked(struct mcentral *central, struct span *span, struct span **empty) {
    unsigned bucket = span->free == 0 ? SPAN_UNLISTED : spanset_bucket(span);
    if (bucket == SPANSET_DRAINING) {
        sparse_punch_locked(central, span);
        span->relist_at = spanset_bucket_end(span, bucket);
    }
    if (bucket == span->bucket) {
        return;
    }
    unlist_locked(central, span);
    if (bucket == SPANSET_EMPTY) {
        add_empty_locked(central, span, empty);
    } else if (bucket != SPAN_UNLISTED) {
        spanset_add(&central->set, span, bucket);
    }
}

/* ---- taking ---- */

/* Before the heap is asked for more: the emptiest span of the first other shard that has one which
 * is at least half empty becomes ours. With `central` locked no other lock is waited for. */
static struct span *move_span_locked(struct mcentral *central, unsigned shard, unsigned class) {
    for (unsigned i = 0; i < mcentral_shards(); i++) {
        struct mcentral *other = &mcentrals[i][class];
        if (i == shard || !spanset_has_half_empty(&other->set) || !lock_try(&other->lock)) {
            continue;
        }
        struct span *span = NULL;
        if (spanset_has_half_empty(&other->set)) {
            span = spanset_emptiest(&other->set, SPANSET_DRAINING);
            unlist_locked(other, span);
            other->pages -= span->pages;
            other->out -= span->objects - span->free;
            central->out += span->objects - span->free;
            central->pages += span->pages;
            set_shard(span, shard);
        }
        unlock(other, class);
        if (span != NULL) {
            return span;
        }
    }
    return NULL;
}

/* Of large blocks one thread at a time: the others would give back what it has just kept. */
static size_t reclaim_large(size_t pages) {
    if (!lock_try(&reclaim_lock)) {
        return 0;
    }
    size_t got = largecache_release(pages);
    lock_release(&reclaim_lock);
    return got;
}

void mcentral_reclaim(size_t pages) {
    struct span *empty = NULL;
    size_t got = reclaim_large(pages);
    if (atomic_load_explicit(&with_spare, memory_order_relaxed) == 0) {
        return;
    }
    for (unsigned i = 0; got < pages && i < mcentral_shards() * CLASS_COUNT; i++) {
        struct mcentral *central = &mcentrals[i / CLASS_COUNT][i % CLASS_COUNT];
        if (atomic_load_explicit(&central->has_spare, memory_order_relaxed) &&
            lock_try(&central->lock)) {
            size_t least = not_to_spare_locked(central, i % CLASS_COUNT);
            size_t has = central->set.empty_pages, more = min_size(pages - got, has);
            got += take_empty_locked(central, max_size(has - more, least), &empty);
            unlock(central, i % CLASS_COUNT);
        }
    }
    mheap_free_small(empty);
}

/* The lowest of them; the others wait among the empty ones. */
static struct span *new_spans_locked(struct mcentral *central, unsigned shard, unsigned class,
                                     enum mheap_pages which) {
    size_t n = max_size((uint32_t)step_locked(central) / class_to_pages[class], 1);
    struct span *span = mheap_alloc_small(class, n, which), *next;
    for (; span != NULL; span = next) {
        next = span->next;
        set_shard(span, shard);
        central->pages += span->pages;
        if (next == NULL) {
            break;
        }
        spanset_add(&central->set, span, SPANSET_EMPTY);
    }
    return span;
}

/* Memory that nobody holds comes first, then what other shards of the class have to spare, then
 * other classes, and what was never in use last. In a heap that is too small for a class to keep
 * much, that of a process that starts, nobody looks. With `central` locked no other lock is waited
 * for. */
static struct span *add_span_locked(struct mcentral *central, unsigned shard, unsigned class) {
    note_use(shard);
    struct span *span = new_spans_locked(central, shard, class, MHEAP_BACKED);
    span = span != NULL ? span : move_span_locked(central, shard, class);
    if (span == NULL) {
        if (mheap_in_use() >= KEEPING_FROM * PAGE_SIZE) {
            mcentral_reclaim(RECLAIMED_AT_ONCE);
        }
        span = new_spans_locked(central, shard, class, MHEAP_ANY);
    }
    return span;
}

/* Several spans may be needed to fill a magazine, since the fullest come first; a new one is added
 * only when there is nothing else. */
unsigned mcentral_take(unsigned shard, unsigned class, void **end, unsigned want) {
    struct mcentral *central = &mcentrals[shard][class];
    struct span *empty = NULL;
    unsigned got = 0;
    bool few = !__libc_single_threaded && want * class_to_size[class] <= 4 * CACHE_LINE;
    lock_acquire(&central->lock);
    while (got < want) {
        struct span *span = spanset_fullest(&central->set);
        if (span == NULL && got == 0) {
            span = add_span_locked(central, shard, class);
        }
        if (span == NULL) {
            break;
        }
        if (UNLIKELY(span->bucket == SPANSET_DRAINING)) { /* no more */
            unlist_locked(central, span);
            spanset_add(&central->set, span, span_bucket(span));
        }
        got += span_take(span, end - got, want - got, few);
        relist_locked(central, span, &empty);
    }
    central->out += got;
    unlock(central, class);
    return got;
}

/* ---- giving ---- */

static void fail_give(unsigned class, const struct span *span, void *object, const char *call) {
    uintptr_t address = (uintptr_t)object;
    if (span == NULL || span->class != class || span_is_object(span, address)) {
        fatal_misuse(call, object, "double free of a %u-byte object", class_to_size[class]);
    }
    fatal_misuse(call, object, "pointer into the middle of a %u-byte object that starts at %p",
                 class_to_size[class], (void *)span_object(span, span_index(span, address)));
}

/* The span of an object that this shard has; NULL: another shard's, or no object. */
ALWAYS_INLINE struct span *own_span_locked(const void *object, unsigned shard, unsigned class) {
    struct span *span = arena_span((uintptr_t)object);
    bool own = LIKELY(span != NULL && span->class == class) && shard_of_span(span) == shard;
    return own ? span : NULL;
}

/* Objects that were allocated in a row are often freed in a row, forwards or backwards: their bits
 * are set together. Returns how many those are that begin like this. */
static unsigned give_runs_locked(struct mcentral *central, unsigned shard, unsigned class,
                                 void *const *objects, unsigned n, struct span **empty) {
    unsigned given = 0, run = 1;
    while (run > 0 && n - given > SPAN_RUN_LEAST) {
        struct span *span = own_span_locked(objects[given], shard, class);
        run = span == NULL ? 0
                           : span_give_run(span, objects + given, n - given, class_to_size[class]);
        if (run > 0 && span->free >= span->relist_at) {
            relist_locked(central, span, empty);
        }
        given += run;
    }
    return given;
}

/* False: the object is free already, or there is none at the address. */
ALWAYS_INLINE bool give_one_locked(struct mcentral *central, struct span *span, uintptr_t address,
                                   struct span **empty) {
    bool given = span_give(span, address);
    if (UNLIKELY(given && span->free == span->relist_at)) {
        relist_locked(central, span, empty);
    }
    return given;
}

/* Gives the objects of one shard back. Those of others are put aside in `rest`, which may be where
 * the objects are; returns how many. A span that is gone, or has another class by now, was emptied
 * by the first of two frees. */
static unsigned give_to_shard(unsigned shard, unsigned class, void *const *objects, unsigned n,
                              void **rest, const char *call) {
    struct mcentral *central = &mcentrals[shard][class];
    struct span *empty = NULL;
    unsigned aside = 0;
    lock_acquire(&central->lock);
    unsigned i = give_runs_locked(central, shard, class, objects, n, &empty);
    for (; i < n; i++) {
        uintptr_t object = (uintptr_t)objects[i];
        struct span *span = arena_span(object);
        if (UNLIKELY(span == NULL || span->class != class)) {
            break;
        }
        if (UNLIKELY(shard_of_span(span) != shard)) {
            rest[aside++] = (void *)object;
        } else if (!give_one_locked(central, span, object, &empty)) {
            break;
        }
    }
    central->out -= i - aside;
    unlock(central, class);
    mheap_free_small(empty);
    if (i < n) {
        fail_give(class, arena_span((uintptr_t)objects[i]), objects[i], call);
    }
    return aside;
}

unsigned mcentral_shard_of(const void *object) {
    const struct span *span = arena_span((uintptr_t)object);
    return span != NULL ? shard_of_span(span) : 0;
}

void mcentral_give(unsigned class, void *const *objects, unsigned n, const char *call) {
    void *rest[MCENTRAL_MOST];
    while (n > 0) {
        n = give_to_shard(mcentral_shard_of(objects[0]), class, objects, n, rest, call);
        objects = rest;
    }
}

size_t mcentral_trim(unsigned shard, unsigned class, size_t most) {
    struct mcentral *central = &mcentrals[shard][class];
    struct span *empty = NULL;
    if (spanset_guess_empty(&central->set) == 0) {
        return 0;
    }
    lock_acquire(&central->lock);
    size_t has = central->set.empty_pages;
    size_t pages = take_empty_locked(central, has - min_size(has, most), &empty);
    unlock(central, class);
    mheap_free_small(empty);
    return pages;
}

void mcentral_trim_all(void) {
    for (unsigned i = 0; i < mcentral_shards() * CLASS_COUNT; i++) {
        mcentral_trim(i / CLASS_COUNT, i % CLASS_COUNT, SIZE_MAX);
    }
}

void mcentral_begin_trim(void) {
    unsigned none = 0;
    atomic_compare_exchange_strong_explicit(&untrimmed, &none, mcentral_shards() * CLASS_COUNT,
                                            memory_order_relaxed, memory_order_relaxed);
}

/* One that still has some is where the next call begins. */
bool mcentral_trim_some(void) {
    size_t pages = 0;
    unsigned left = atomic_load_explicit(&untrimmed, memory_order_relaxed);
    while (left > 0) {
        unsigned i = left - 1;
        pages += mcentral_trim(i / CLASS_COUNT, i % CLASS_COUNT, MCENTRAL_TRIM_MOST - pages);
        if (pages >= MCENTRAL_TRIM_MOST) {
            break;
        }
        if (atomic_compare_exchange_strong_explicit(&untrimmed, &left, i, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            left = i;
        }
    }
    return left > 0;
}

/* ---- statistics, fork, checks ---- */

static void *find_free_locked(const struct mcentral *central, bool (*wanted)(const void *object)) {
    struct span *span = NULL;
    void *found = NULL;
    while (found == NULL && (span = spanset_next(&central->set, span)) != NULL) {
        found = span_find_free(span, wanted);
    }
    return found;
}

void *mcentral_find_free(bool (*wanted)(const void *object)) {
    void *found = NULL;
    for (unsigned i = 0; found == NULL && i < mcentral_shards() * CLASS_COUNT; i++) {
        struct mcentral *central = &mcentrals[i / CLASS_COUNT][i % CLASS_COUNT];
        lock_acquire(&central->lock);
        found = find_free_locked(central, wanted);
        lock_release(&central->lock);
    }
    return found;
}

static void add_stats(struct mcentral *central, unsigned class, struct mcentral_stats *stats) {
    lock_acquire(&central->lock);
    stats->out += central->out * class_to_size[class];
    stats->spans += central->pages << PAGE_SHIFT;
    size_t size = class_to_size[class], bytes = (size_t)class_to_pages[class] << PAGE_SHIFT;
    size_t spans = central->pages / class_to_pages[class];
    stats->span_count += spans;
    stats->objects += spans * (bytes / size * size);
    lock_release(&central->lock);
}

struct mcentral_stats mcentral_get_stats(unsigned class) {
    struct mcentral_stats stats = {0};
    for (unsigned shard = 0; shard < MCENTRAL_SHARDS; shard++) {
        add_stats(&mcentrals[shard][class], class, &stats);
    }
    return stats;
}

/* Empty ones, too: the lock of the heap may be held by the frame that this process's only thread
 * was interrupted in. */
static void adopt_locked(struct mcentral *central, struct span *span) {
    span_recount(span);
    central->pages += span->pages;
    central->out += span->objects - span->free;
    span->bucket = SPAN_UNLISTED;
    span->relist_at = 1;
    arena_set_class(span, span->class);
    if (span->free > 0) {
        spanset_add(&central->set, span, span_bucket(span));
    }
}

/* Lists the spans of a class anew, from the page tables and the bits. */
static void rebuild(unsigned shard, unsigned class) {
    struct mcentral *central = &mcentrals[shard][class];
    central->set = (struct spanset){0};
    central->out = central->pages = 0;
    for (struct span *span = NULL; (span = arena_next_span(span)) != NULL;) {
        if (span->class == class && shard_of_span(span) == shard) {
            adopt_locked(central, span);
        }
    }
}

/* Writes only where something has changed: each page of the parent's that a child writes to is
 * copied. */
static void recount_with_spare(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < mcentral_shards() * CLASS_COUNT; i++) {
        struct mcentral *central = &mcentrals[i / CLASS_COUNT][i % CLASS_COUNT];
        note_spare_locked(central, i % CLASS_COUNT);
        count += atomic_load_explicit(&central->has_spare, memory_order_relaxed);
    }
    atomic_store_explicit(&with_spare, count, memory_order_relaxed);
}

void mcentral_reset_in_child(void) {
    for (unsigned i = 0; i < MCENTRAL_SHARDS * CLASS_COUNT; i++) {
        unsigned shard = i / CLASS_COUNT, class = i % CLASS_COUNT;
        if (lock_reset_in_child(&mcentrals[shard][class].lock)) {
            rebuild(shard, class);
        }
    }
    recount_with_spare();
    lock_reset_in_child(&reclaim_lock);
    sparse_reset_in_child();
}

/* Do the page tables have the class of all listed spans but those that drain? */
static bool classes_are_valid(const struct spanset *set) {
    bool valid = true;
    for (struct span *span = NULL; (span = spanset_next(set, span)) != NULL;) {
        const struct arena *arena = arena_of(span->base);
        unsigned class = arena_page_class(arena, arena_page(arena, span->base));
        valid &= class == (span->bucket == SPANSET_DRAINING ? 0 : span->class);
    }
    return valid;
}

bool mcentral_is_valid(unsigned class) {
    bool valid = true;
    for (unsigned shard = 0; shard < MCENTRAL_SHARDS; shard++) {
        struct mcentral *central = &mcentrals[shard][class];
        lock_acquire(&central->lock);
        valid &= spanset_is_valid(&central->set) && classes_are_valid(&central->set);
        lock_release(&central->lock);
    }
    return valid;
}
