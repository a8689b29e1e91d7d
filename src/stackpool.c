/*
 * Pools of stacks. See stackpool.h and README.md.
 *
 * Stacks are taken from the span at the head of a pool's list, those that cost memory already
 * first. Large and guarded ones are expensive to make, so an empty span of these stays until it was
 * idle for a while; an empty span of others goes back to the page heap at once, but for the last
 * one.
 */
#include "stackpool.h"

#include <assert.h>
#include <stdatomic.h>

#include "fatal.h"
#include "lock.h"
#include "mheap.h"

enum { SPAN_BYTES = 32768, SPAN_LEAST_STACKS = 4 };

/* The longest that a trim may take: some 5 ms of giving back; and what the look at a span costs, in
 * the same measure. */
#define TRIM_BYTES (64 * MIB)
#define LOOK_BYTES (16 * KIB)

/* The words of bits of a span, a bit a stack. */
enum {
    FREE,    /* in the pool; stack_is_free reads it without the lock */
    OLD,     /* free since before the last trim, as far as it is free */
    CLEAN,   /* costs no memory and reads as zero */
    GUARDED, /* its guard is in place */
    SPLIT,   /* and splits a mapping */
};
static_assert(SPLIT + 1 == SPAN_STACK_WORDS, "a word each");

/* The spans with a free stack, a ring; listed == their number. bucket of a span is 0 when it is on
 * it. free == the sum of their free ones; out == the stacks of all spans of the kind - free. */
struct stackpool {
    struct lock lock;
    struct span *spans;
    size_t listed;
    size_t free;
    size_t out;
};

static struct stackpool pools[STACK_KINDS];
static _Atomic size_t splits;

/* ---- the ring ---- */

static bool is_listed(const struct span *span) {
    return span->bucket != SPAN_UNLISTED;
}

/* At the head. */
static void list_locked(struct stackpool *pool, struct span *span) {
    struct span *head = pool->spans;
    span->next = head != NULL ? head : span;
    span->prev = head != NULL ? head->prev : span;
    span->prev->next = span;
    span->next->prev = span;
    span->bucket = 0;
    pool->spans = span;
    pool->listed++;
}

static void unlist_locked(struct stackpool *pool, struct span *span) {
    span->prev->next = span->next;
    span->next->prev = span->prev;
    span->bucket = SPAN_UNLISTED;
    pool->spans = span->next != span ? (pool->spans == span ? span->next : pool->spans) : NULL;
    pool->listed--;
}

/* ---- guards ---- */

static size_t splits_most(void) {
    static _Atomic size_t known;
    size_t most = atomic_load_explicit(&known, memory_order_relaxed);
    if (most == 0) {
        most = os_mappings_most() / 4;
        atomic_store_explicit(&known, most, memory_order_relaxed);
    }
    return most;
}

static bool split(void *guard, size_t size) {
    bool allowed = atomic_fetch_add_explicit(&splits, 1, memory_order_relaxed) < splits_most();
    if (allowed && os_forbid(guard, size)) {
        os_discard(guard, size);
        return true;
    }
    atomic_fetch_sub_explicit(&splits, 1, memory_order_relaxed);
    return false;
}

/* The stack is the caller's; the words are shared with its neighbours. */
static bool place_guard(struct stackpool *pool, struct span *span, unsigned index) {
    size_t size = os_page_size();
    void *guard = (void *)(stack_low(span, index) - size);
    bool marked = os_mark_guard(guard, size);
    if (!marked && !split(guard, size)) {
        return false;
    }
    lock_acquire(&pool->lock);
    span->bits[GUARDED] |= bits_mask(index, 1);
    span->bits[SPLIT] |= marked ? 0 : bits_mask(index, 1);
    lock_release(&pool->lock);
    return true;
}

/* Of an empty span that nobody else knows. False: some could not be opened. */
static bool remove_guards(struct span *span) {
    if (stack_guard(stack_span_kind(span)) == 0) {
        return true;
    }
    span->bits[GUARDED] = span->bits[SPLIT];
    os_unmark_guards((void *)span->base, span_bytes(span));
    if (span->bits[SPLIT] != 0 && !os_open((void *)span->base, span_bytes(span))) {
        return false;
    }
    atomic_fetch_sub_explicit(&splits, bits_count(span->bits[SPLIT]), memory_order_relaxed);
    span->bits[GUARDED] = span->bits[SPLIT] = 0;
    return true;
}

/* ---- spans ---- */

static unsigned stacks_per_span(unsigned kind) {
    size_t stride = stack_stride(kind);
    bool large = kind >= STACK_SMALL_KINDS;
    return large ? 1 : (unsigned)max_size(SPAN_BYTES / stride, SPAN_LEAST_STACKS);
}

/* 2^32 / stride, rounded up, divides exactly what a span of several stacks is long; with one stack
 * the index is 0. */
static uint32_t stride_magic(unsigned kind) {
    size_t stride = stack_stride(kind);
    return stacks_per_span(kind) == 1 ? 0 : (uint32_t)((UINT64_C(1) << 32) / stride) + 1;
}

static bool add_span_locked(struct stackpool *pool, unsigned kind) {
    unsigned stacks = stacks_per_span(kind);
    struct span *span = mheap_alloc_stacks(stacks * stack_stride(kind), kind, stacks);
    if (span == NULL) {
        return false;
    }
    span->magic = stride_magic(kind);
    span->stride = (uint32_t)stack_stride(kind);
    span->bits[CLEAN] = span->needs_zero ? 0 : span->bits[FREE];
    pool->free += stacks;
    list_locked(pool, span);
    return true;
}

/* The span is not listed any more. */
static void free_span(struct stackpool *pool, struct span *span) {
    if (remove_guards(span)) {
        mheap_free(span);
        return;
    }
    lock_acquire(&pool->lock); /* the system refuses to open its guards: it stays */
    pool->free += span->objects;
    list_locked(pool, span);
    lock_release(&pool->lock);
}

static void free_spans(struct stackpool *pool, struct span *spans) {
    while (spans != NULL) {
        struct span *next = spans->next;
        free_span(pool, spans);
        spans = next;
    }
}

/* Takes an empty span out of the pool. */
static void retire_span_locked(struct stackpool *pool, struct span *span, struct span **out) {
    unlist_locked(pool, span);
    pool->free -= span->objects;
    span->next = *out;
    *out = span;
}

static bool stays_when_empty(const struct stackpool *pool, const struct span *span) {
    unsigned kind = stack_span_kind(span);
    return kind >= STACK_SMALL_KINDS || stack_guard(kind) != 0 || pool->free == span->objects;
}

/* ---- take ---- */

static void take_bits_locked(struct stackpool *pool, struct span *span, uint64_t bits) {
    unsigned n = bits_count(bits);
    __atomic_store_n(&span->bits[FREE], span->bits[FREE] & ~bits, __ATOMIC_RELAXED);
    span->free = (uint16_t)(span->free - n);
    pool->free -= n;
    pool->out += n;
    if (span->free == 0) {
        unlist_locked(pool, span);
    }
}

static void give_bits_locked(struct stackpool *pool, struct span *span, uint64_t bits) {
    unsigned n = bits_count(bits);
    __atomic_store_n(&span->bits[FREE], span->bits[FREE] | bits, __ATOMIC_RELAXED);
    span->free = (uint16_t)(span->free + n);
    pool->free += n;
    pool->out -= n;
    if (!is_listed(span)) {
        list_locked(pool, span);
    }
}

/* What a caller takes: of the last stack, whether it is clean; of each, a bit: has it no guard? */
struct take {
    bool clean;
    uint64_t unguarded;
};

static bool take_locked(struct stackpool *pool, unsigned kind, void **low, struct take *take) {
    if (pool->spans == NULL && !add_span_locked(pool, kind)) {
        return false;
    }
    struct span *span = pool->spans;
    uint64_t used = span->bits[FREE] & ~span->bits[CLEAN];
    unsigned index = bits_lowest(used != 0 ? used : span->bits[FREE]);
    take_bits_locked(pool, span, bits_mask(index, 1));
    *low = (void *)stack_low(span, index);
    take->clean = used == 0;
    take->unguarded = take->unguarded << 1 | (~span->bits[GUARDED] >> index & 1);
    return true;
}

static unsigned take_many(struct stackpool *pool, unsigned kind, void **lows, unsigned want,
                          struct take *take) {
    unsigned got = 0;
    lock_acquire(&pool->lock);
    while (got < want && (got == 0 || pool->spans != NULL) &&
           take_locked(pool, kind, &lows[got], take)) {
        got++;
    }
    lock_release(&pool->lock);
    return got;
}

static unsigned index_of(const struct span *span, const void *low) {
    return object_index(span->magic, (uintptr_t)low - span->base);
}

unsigned stackpool_take(unsigned kind, void **lows, unsigned want, bool *clean) {
    struct stackpool *pool = &pools[kind];
    struct take take = {0};
    unsigned got = take_many(pool, kind, lows, want, &take), good = 0;
    *clean = take.clean;
    for (; stack_guard(kind) != 0 && good < got; good++) {
        struct span *span = stack_span(lows[good]);
        bool unguarded = take.unguarded >> (got - 1 - good) & 1;
        if (unguarded && !place_guard(pool, span, index_of(span, lows[good]))) {
            stackpool_give(kind, lows + good, got - good, "goalloc_stack_alloc");
            return good;
        }
    }
    return got;
}

/* ---- give ---- */

/* False: it is there already, or its span is gone or is another kind's by now. */
static bool give_locked(struct stackpool *pool, const void *low, struct span **empty) {
    struct span *span = stack_span(low);
    if (UNLIKELY(span == NULL || span->stack == 0 || &pools[stack_span_kind(span)] != pool)) {
        return false;
    }
    uint64_t bit = bits_mask(index_of(span, low), 1);
    if ((span->bits[FREE] & bit) != 0) {
        return false;
    }
    span->bits[CLEAN] &= ~bit;
    span->bits[OLD] &= ~bit;
    give_bits_locked(pool, span, bit);
    if (span->free == span->objects && !stays_when_empty(pool, span)) {
        retire_span_locked(pool, span, empty);
    }
    return true;
}

void stackpool_give(unsigned kind, void *const *lows, unsigned n, const char *call) {
    struct stackpool *pool = &pools[kind];
    struct span *empty = NULL;
    unsigned given = 0;
    lock_acquire(&pool->lock);
    while (given < n && give_locked(pool, lows[given], &empty)) {
        given++;
    }
    lock_release(&pool->lock);
    if (given < n) {
        fatal_misuse(call, lows[given], "double free of a stack of %zu bytes", stack_size(kind));
    }
    free_spans(pool, empty);
}

/* ---- giving back ---- */

/* Discards the whole pages of a run of stacks; guards have none. Returns the stacks that are clean
 * now: one that shares a system page with a stack beyond the run is not. */
static uint64_t discard_run(const struct span *span, unsigned first, unsigned count) {
    size_t size = stack_size(stack_span_kind(span));
    uintptr_t start = align_up(stack_low(span, first), os_page_size());
    uintptr_t end = align_down(stack_low(span, first + count - 1) + size, os_page_size());
    bool discarded = start < end && os_discard((void *)start, end - start);
    unsigned last = first + count;
    while (discarded && stack_low(span, first) < start) {
        first++;
    }
    while (discarded && stack_low(span, last - 1) + size > end) {
        last--;
    }
    return discarded && first < last ? bits_mask(first, last - first) : 0;
}

static uint64_t discard_stacks(const struct span *span, uint64_t bits) {
    uint64_t clean = 0;
    while (bits != 0) {
        unsigned first = bits_lowest(bits), count = bits_trailing_ones(bits >> first);
        clean |= discard_run(span, first, count);
        bits &= ~bits_mask(first, count);
    }
    return clean;
}

/* The clean ones around these, which may share a system page with them. */
static uint64_t neighbours(const struct span *span, uint64_t stacks) {
    size_t a_page = os_page_size() / stack_size(stack_span_kind(span));
    uint64_t near = 0;
    for (unsigned distance = 1; distance < a_page; distance++) {
        near |= stacks << distance | stacks >> distance;
    }
    return near & span->bits[FREE] & span->bits[CLEAN];
}

/* Looks at the span at the head and moves on to the next. *stacks of it, now out of the pool, are
 * to be discarded; or it is in *empty. */
static struct span *visit_locked(struct stackpool *pool, bool all, uint64_t *stacks,
                                 struct span **empty) {
    struct span *span = pool->spans;
    uint64_t idle = span->bits[FREE] & (all ? ~UINT64_C(0) : span->bits[OLD]);
    pool->spans = span->next;
    span->bits[OLD] = span->bits[FREE];
    if (bits_count(idle) == span->objects) {
        retire_span_locked(pool, span, empty);
        return span;
    }
    *stacks = idle & ~span->bits[CLEAN];
    *stacks |= neighbours(span, *stacks);
    if (*stacks != 0) {
        take_bits_locked(pool, span, *stacks);
    }
    return span;
}

/* Returns the bytes given back. */
static size_t trim_next(struct stackpool *pool, bool all) {
    struct span *span = NULL, *empty = NULL;
    uint64_t stacks = 0;
    lock_acquire(&pool->lock);
    if (pool->spans != NULL) {
        span = visit_locked(pool, all, &stacks, &empty);
    }
    lock_release(&pool->lock);
    free_spans(pool, empty);
    if (stacks == 0) {
        return 0;
    }
    uint64_t clean = discard_stacks(span, stacks);
    size_t bytes = bits_count(clean) * stack_size(stack_span_kind(span));
    lock_acquire(&pool->lock);
    give_bits_locked(pool, span, stacks);
    span->bits[CLEAN] |= clean;
    if (pool->spans == span) { /* on the list again, and not to be the next, too */
        pool->spans = span->next;
    }
    lock_release(&pool->lock);
    return bytes;
}

/* Returns the cost. */
static size_t trim_pool(struct stackpool *pool, bool all, size_t most) {
    size_t cost = 0;
    lock_acquire(&pool->lock);
    size_t spans = pool->listed;
    lock_release(&pool->lock);
    for (; spans > 0 && cost < most; spans--) {
        cost += LOOK_BYTES + trim_next(pool, all);
    }
    return cost;
}

/* A guess, without the lock. */
__attribute__((no_sanitize("thread"))) static bool has_spans(const struct stackpool *pool) {
    return *(struct span *const volatile *)&pool->spans != NULL;
}

static void trim(bool all, size_t most) {
    size_t cost = 0;
    for (unsigned kind = 0; kind < STACK_KINDS; kind++) {
        if (has_spans(&pools[kind])) {
            cost += trim_pool(&pools[kind], all, most - min_size(cost, most));
        }
    }
}

void stackpool_trim(void) {
    trim(false, TRIM_BYTES);
}

void stackpool_release(void) {
    trim(true, SIZE_MAX);
}

/* ---- statistics, fork, checks ---- */

struct stackpool_stats stackpool_get_stats(void) {
    struct stackpool_stats stats = {.guards = atomic_load(&splits), .guards_most = splits_most()};
    for (unsigned kind = 0; kind < STACK_KINDS; kind++) {
        lock_acquire(&pools[kind].lock);
        stats.out += pools[kind].out;
        stats.out_bytes += pools[kind].out * stack_size(kind);
        stats.free += pools[kind].free;
        stats.free_bytes += pools[kind].free * stack_size(kind);
        lock_release(&pools[kind].lock);
    }
    return stats;
}

/* An empty span may have been about to be added, or to go, with some of its guards gone. */
static void adopt_locked(struct stackpool *pool, unsigned kind, struct span *span) {
    span->magic = stride_magic(kind);
    span->stride = (uint32_t)stack_stride(kind);
    span->free = (uint16_t)bits_count(span->bits[FREE]);
    span->bucket = SPAN_UNLISTED;
    pool->free += span->free;
    pool->out += span->objects - (size_t)span->free;
    if (span->free == span->objects) {
        remove_guards(span);
    }
    if (span->free > 0) {
        list_locked(pool, span);
    }
}

/* From the page tables and the bits, as in mcentral.c. What was on its way is not free: it is
 * lost. */
static void rebuild(unsigned kind) {
    struct stackpool *pool = &pools[kind];
    pool->spans = NULL;
    pool->listed = pool->free = pool->out = 0;
    for (struct span *span = NULL; (span = arena_next_span(span)) != NULL;) {
        if (span->stack == kind + 1) {
            adopt_locked(pool, kind, span);
        }
    }
}

void stackpool_reset_in_child(void) {
    for (unsigned kind = 0; kind < STACK_KINDS; kind++) {
        if (lock_reset_in_child(&pools[kind].lock)) {
            rebuild(kind);
        }
    }
}

static bool is_valid_locked(const struct stackpool *pool) {
    size_t free = 0, listed = 0;
    bool valid = true;
    for (struct span *span = pool->spans; span != NULL && listed < pool->listed; listed++) {
        valid &= span->free == bits_count(span->bits[FREE]) && span->free > 0 && is_listed(span);
        valid &= span->next->prev == span;
        free += span->free;
        span = span->next;
    }
    return valid && listed == pool->listed && free == pool->free;
}

bool stackpool_is_valid(void) {
    bool valid = true;
    for (unsigned kind = 0; kind < STACK_KINDS; kind++) {
        lock_acquire(&pools[kind].lock);
        valid &= is_valid_locked(&pools[kind]);
        lock_release(&pools[kind].lock);
    }
    return valid;
}
