/* Large blocks that were freed. See largecache.h and README.md. */
#include "largecache.h"

#include <stdint.h>

#include "arena.h"
#include "lock.h"
#include "mheap.h"

/* Blocks of fewer pages are kept, and of a size and shard so many bytes. */
#define PAGES_END (MIB >> PAGE_SHIFT)
#define KEPT_BYTES MIB

/* One thread waits for no lock, but only for the heap to look for pages. Of all sizes together it
 * keeps this part of the heap. */
enum { KEPT_ALONE = 16 };

/* Eight bins for each doubling of the pages, as in mheap_large_size. */
enum { SHARDS = 4, BINS = 40 };

/* The blocks are linked by `next`. */
struct bin {
    struct lock lock;
    uint32_t count;
    uint32_t low; /* the least that count was since largecache_trim came by */
    struct span *first;
} __attribute__((aligned(CACHE_LINE)));

static struct bin bins[SHARDS * BINS];
static atomic_bool any;   /* there may be kept blocks */
static size_t kept_alone; /* the bytes kept, but for those that came or went among threads */

/* 1 <= pages < PAGES_END */
static struct bin *bin_of(unsigned shard, size_t pages) {
    unsigned log = WORD_BITS - 1 - (unsigned)__builtin_clzll(pages);
    size_t i = log <= 3 ? pages : 8 * (log - 2) + (pages >> (log - 3) & 7);
    return &bins[shard % SHARDS * BINS + i];
}

/* A guess, without the lock. */
__attribute__((no_sanitize("thread"))) static bool has_some(const struct bin *bin) {
    return *(struct span *const volatile *)&bin->first != NULL;
}

/* NULL: the first is not where it is wanted, or there is none. */
static struct span *pop_locked(struct bin *bin, size_t align) {
    struct span *span = bin->first;
    if (span != NULL && span->base % align != 0) {
        return NULL;
    }
    if (span != NULL) {
        bin->first = span->next;
        bin->count--;
        bin->low = (uint32_t)min_size(bin->low, bin->count);
    }
    return span;
}

static struct span *pop(struct bin *bin, size_t align) {
    if (!has_some(bin)) {
        return NULL;
    }
    lock_acquire(&bin->lock);
    struct span *span = pop_locked(bin, align);
    lock_release(&bin->lock);
    if (__libc_single_threaded && span != NULL) {
        kept_alone -= min_size(kept_alone, span_bytes(span));
    }
    return span;
}

struct span *largecache_take(unsigned shard, size_t bytes, size_t align) {
    size_t pages = mheap_large_size(max_size(bytes, 1)) >> PAGE_SHIFT;
    struct span *span = NULL;
    for (unsigned i = 0; span == NULL && i < SHARDS && pages < PAGES_END; i++) {
        span = pop(bin_of(shard + i, pages), align);
    }
    if (span != NULL) {
        span->needs_zero = span->backed = true;
        arena_set_span(arena_of(span->base), span);
    }
    return span;
}

static bool has_room_locked(const struct bin *bin, size_t bytes) {
    return __libc_single_threaded ? kept_alone + bytes <= mheap_in_use() / KEPT_ALONE
                                  : (bin->count + 1) * bytes <= KEPT_BYTES;
}

/* A block made near the end of memory may have a size that no request is rounded to. */
bool largecache_put(unsigned shard, struct span *span) {
    if (span->pages >= PAGES_END || mheap_large_size(span_bytes(span)) != span_bytes(span)) {
        return false;
    }
    struct bin *bin = bin_of(shard, span->pages);
    lock_acquire(&bin->lock);
    bool room = has_room_locked(bin, span_bytes(span));
    if (room) {
        span->next = bin->first;
        bin->first = span;
        bin->count++;
        if (__libc_single_threaded) {
            kept_alone += span_bytes(span);
        }
    }
    lock_release(&bin->lock);
    if (room && !atomic_load_explicit(&any, memory_order_relaxed)) {
        atomic_store_explicit(&any, true, memory_order_relaxed);
    }
    return room;
}

/* ---- giving back ---- */

static size_t release_bin(struct bin *bin, uint32_t blocks, size_t pages) {
    size_t released = 0;
    struct span *span;
    while (blocks-- > 0 && released < pages && (span = pop(bin, 1)) != NULL) {
        released += span->pages;
        mheap_free(span);
    }
    return released;
}

size_t largecache_release(size_t pages) {
    size_t released = 0;
    if (!atomic_load_explicit(&any, memory_order_relaxed)) {
        return 0;
    }
    atomic_store_explicit(&any, false, memory_order_relaxed); /* a put from now on says so again */
    for (unsigned i = SHARDS * BINS; i-- > 0 && released < pages;) {
        released += release_bin(&bins[i], UINT32_MAX, pages - released);
    }
    if (released >= pages) {
        atomic_store_explicit(&any, true, memory_order_relaxed);
    }
    return released;
}

void largecache_trim(void) {
    for (unsigned i = 0; i < SHARDS * BINS; i++) {
        if (has_some(&bins[i])) {
            lock_acquire(&bins[i].lock);
            uint32_t low = bins[i].low;
            bins[i].low = bins[i].count - low;
            lock_release(&bins[i].lock);
            release_bin(&bins[i], low, SIZE_MAX);
        }
    }
}

/* ---- statistics and fork ---- */

size_t largecache_bytes(size_t *blocks) {
    size_t bytes = 0;
    *blocks = 0;
    for (unsigned i = 0; i < SHARDS * BINS; i++) {
        lock_acquire(&bins[i].lock);
        for (const struct span *span = bins[i].first; span != NULL; span = span->next) {
            bytes += span_bytes(span);
            *blocks += 1;
        }
        lock_release(&bins[i].lock);
    }
    return bytes;
}

/* The lists change by single stores; only the counts may be wrong. */
void largecache_reset_in_child(void) {
    for (unsigned i = 0; i < SHARDS * BINS; i++) {
        if (lock_reset_in_child(&bins[i].lock)) {
            bins[i].count = bins[i].low = 0;
            for (const struct span *span = bins[i].first; span != NULL; span = span->next) {
                bins[i].count++;
            }
        }
    }
}
