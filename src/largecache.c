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

/* A thread keeps this part of the heap for itself, but so much in any case. */
enum { OWN_PART = 32 };
#define OWN_LEAST (128 * KIB)

/* Eight bins for each doubling of the pages, up to 127, and 24 for blocks of a page more. */
enum { SHARDS = 4, ODD = 40 - 16, BINS = 40 + ODD };

/* The blocks are linked by `next`. */
struct bin {
    struct lock lock;
    uint32_t count;
    uint32_t low; /* the least that count was since largecache_trim came by */
    struct span *first;
} __attribute__((aligned(CACHE_LINE)));

static struct bin bins[SHARDS][BINS];
static _Atomic uint64_t filled[SHARDS]; /* 0 in bit i, changed under bin i's lock: it is empty */
static size_t kept_alone; /* the bytes kept, but for those that came or went among threads */

/* For blocks of just so many pages, 1 or more; BINS: they are not kept. */
static unsigned bin_of(size_t pages) {
    unsigned log = bits_highest(pages), shift = log <= 3 ? 0 : log - 3;
    size_t rest = pages & (((size_t)1 << shift) - 1);
    if (pages >= PAGES_END || rest > 1) {
        return BINS;
    }
    return (unsigned)(8 * shift + (pages >> shift) + rest * ODD);
}

static uint64_t filled_bins(unsigned shard) {
    return atomic_load_explicit(&filled[shard], memory_order_relaxed);
}

static void note_locked(unsigned shard, unsigned i) {
    uint64_t bit = UINT64_C(1) << i;
    if (bins[shard][i].first == NULL) {
        atomic_fetch_and_explicit(&filled[shard], ~bit, memory_order_relaxed);
    } else if ((filled_bins(shard) & bit) == 0) {
        atomic_fetch_or_explicit(&filled[shard], bit, memory_order_relaxed);
    }
}

static bool is_aligned(const struct span *span, size_t align) {
    return (span->base & (align - 1)) == 0;
}

/* NULL: the first is not where it is wanted, or there is none. */
static struct span *pop_locked(struct bin *bin, size_t align) {
    struct span *span = bin->first;
    if (span != NULL && !is_aligned(span, align)) {
        return NULL;
    }
    if (span != NULL) {
        bin->first = span->next;
        bin->count--;
        bin->low = (uint32_t)min_size(bin->low, bin->count);
    }
    return span;
}

/* A bin whose last block has gone is found to be empty by the next one who wants something. */
static struct span *pop(unsigned shard, unsigned i, size_t align) {
    struct bin *bin = &bins[shard][i];
    lock_acquire(&bin->lock);
    struct span *span = pop_locked(bin, align);
    if (span == NULL) {
        note_locked(shard, i);
    }
    lock_release(&bin->lock);
    if (__libc_single_threaded && span != NULL) {
        kept_alone -= min_size(kept_alone, span_bytes(span));
    }
    return span;
}

static struct span *take_shared(unsigned shard, size_t pages, size_t align) {
    unsigned i = bin_of(pages);
    struct span *span = NULL;
    for (unsigned n = 0; span == NULL && n < SHARDS && i < BINS; n++) {
        unsigned from = (shard + n) % SHARDS;
        span = filled_bins(from) >> i & 1 ? pop(from, i, align) : NULL;
    }
    return span;
}

/* The one freed last of those that fit. */
static struct span *take_own(struct largecache *own, size_t pages, size_t align) {
    for (uint32_t i = own->count; i-- > 0;) {
        struct span *span = own->span[i];
        if (span->pages == pages && is_aligned(span, align)) {
            own->count--;
            own->bytes -= span_bytes(span);
            for (; i < own->count; i++) {
                own->span[i] = own->span[i + 1];
            }
            return span;
        }
    }
    return NULL;
}

struct span *largecache_take(struct largecache *own, unsigned shard, size_t bytes, size_t align) {
    size_t pages = mheap_large_pages(bytes, align);
    struct span *span = own != NULL ? take_own(own, pages, align) : NULL;
    span = span != NULL ? span : take_shared(shard, pages, align);
    if (span != NULL) {
        span->needs_zero = span->backed = true;
        mheap_place(span, bytes, align);
        arena_return_large(arena_of(span->base), span);
    }
    return span;
}

static bool has_room_locked(const struct bin *bin, size_t bytes) {
    return __libc_single_threaded ? kept_alone + bytes <= mheap_in_use() / KEPT_ALONE
                                  : (bin->count + 1) * bytes <= KEPT_BYTES;
}

/* A block made near the end of memory may have a size that no request is rounded to. */
static bool put_shared(unsigned shard, struct span *span) {
    unsigned i = bin_of(span->pages), to = shard % SHARDS;
    if (i == BINS) {
        return false;
    }
    struct bin *bin = &bins[to][i];
    lock_acquire(&bin->lock);
    bool room = has_room_locked(bin, span_bytes(span));
    if (room) {
        span->next = bin->first;
        bin->first = span;
        bin->count++;
        note_locked(to, i);
        if (__libc_single_threaded) {
            kept_alone += span_bytes(span);
        }
    }
    lock_release(&bin->lock);
    return room;
}

static bool put_own(struct largecache *own, struct span *span) {
    size_t most = min_size(own->most, max_size(OWN_LEAST, mheap_in_use() / OWN_PART));
    if (own->count == LARGECACHE_OWN || own->bytes + span_bytes(span) > most) {
        return false;
    }
    own->span[own->count++] = span;
    own->bytes += span_bytes(span);
    return true;
}

bool largecache_put(struct largecache *own, unsigned shard, struct span *span) {
    return (own != NULL && put_own(own, span)) || put_shared(shard, span);
}

void largecache_flush(struct largecache *own, unsigned shard) {
    while (own->count > 0) {
        struct span *span = own->span[--own->count];
        own->bytes -= span_bytes(span);
        if (!put_shared(shard, span)) {
            mheap_free(span);
        }
    }
}

/* ---- giving back ---- */

static size_t release_bin(unsigned shard, unsigned i, uint32_t blocks, size_t pages) {
    size_t released = 0;
    struct span *span;
    while (blocks-- > 0 && released < pages && (span = pop(shard, i, 1)) != NULL) {
        released += span->pages;
        mheap_free(span);
    }
    return released;
}

size_t largecache_release(size_t pages) {
    size_t released = 0;
    for (unsigned shard = SHARDS; shard-- > 0;) {
        uint64_t rest = filled_bins(shard);
        for (; rest != 0 && released < pages; rest &= ~(UINT64_C(1) << bits_highest(rest))) {
            released += release_bin(shard, bits_highest(rest), UINT32_MAX, pages - released);
        }
    }
    return released;
}

void largecache_trim(void) {
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        for (uint64_t rest = filled_bins(shard); rest != 0; rest &= rest - 1) {
            struct bin *bin = &bins[shard][bits_lowest(rest)];
            lock_acquire(&bin->lock);
            uint32_t low = bin->low;
            bin->low = bin->count - low;
            lock_release(&bin->lock);
            release_bin(shard, bits_lowest(rest), low, SIZE_MAX);
        }
    }
}

/* ---- statistics and fork ---- */

size_t largecache_bytes(size_t *blocks, size_t *leads) {
    size_t bytes = 0;
    *blocks = *leads = 0;
    for (unsigned i = 0; i < SHARDS * BINS; i++) {
        struct bin *bin = &bins[i / BINS][i % BINS];
        lock_acquire(&bin->lock);
        for (const struct span *span = bin->first; span != NULL; span = span->next) {
            bytes += span_bytes(span);
            *blocks += 1;
            *leads += span_lead(span);
        }
        lock_release(&bin->lock);
    }
    return bytes;
}

/* The lists change by single stores; only the counts may be wrong. */
void largecache_reset_in_child(void) {
    for (unsigned i = 0; i < SHARDS * BINS; i++) {
        struct bin *bin = &bins[i / BINS][i % BINS];
        if (lock_reset_in_child(&bin->lock)) {
            bin->count = bin->low = 0;
            for (const struct span *span = bin->first; span != NULL; span = span->next) {
                bin->count++;
            }
            note_locked(i / BINS, i % BINS);
        }
    }
}
