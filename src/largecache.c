/* Large blocks that were freed. See largecache.h and README.md. */
#include "largecache.h"

#include <stdint.h>

#include "arena.h"
#include "lock.h"
#include "mheap.h"

/* Blocks of fewer pages are kept. */
#define PAGES_END (MIB >> PAGE_SHIFT)

/* A shard keeps blocks until they are this part of the heap, or so many bytes. One thread waits for
 * no lock, but only for the heap to look for pages: then the part is smaller. */
enum { SHARD_PART = 8, SHARD_PART_ALONE = 32 };
#define SHARD_MOST (16 * MIB)

/* A thread keeps this part of the heap for itself, but so much in any case. */
enum { OWN_PART = 32 };
#define OWN_LEAST (128 * KIB)

/* Eight bins for each doubling of the pages, up to 127, and 24 for blocks of a page more. */
enum { SHARDS = 4, EVEN = 40, ODD = EVEN - 16, BINS = EVEN + ODD };

/* The blocks are linked by `next`. */
struct bin {
    struct span *first;
    uint32_t count;
    uint32_t low; /* the least that count was since largecache_trim came by */
};

struct shard {
    struct lock lock;
    _Atomic uint64_t filled; /* 0 in bit i: bin i is empty */
    size_t bytes;
    struct bin bins[BINS];
} __attribute__((aligned(CACHE_LINE)));

static struct shard shards[SHARDS];

/* For blocks of just so many pages, 1 or more; BINS: they are not kept. */
static unsigned bin_of(size_t pages) {
    unsigned log = bits_highest(pages), shift = log <= 3 ? 0 : log - 3;
    size_t rest = pages & (((size_t)1 << shift) - 1);
    if (pages >= PAGES_END || rest > 1) {
        return BINS;
    }
    return (unsigned)(8 * shift + (pages >> shift) + rest * ODD);
}

/* The bits of that bin and of the one with blocks of the next size, which will do as well. */
static uint64_t bins_for(size_t pages) {
    unsigned i = bin_of(pages);
    bool last = i == EVEN - 1 || i == BINS - 1;
    return i == BINS ? 0 : (uint64_t)(last ? 1 : 3) << i;
}

static uint64_t filled_bins(const struct shard *shard) {
    return atomic_load_explicit(&shard->filled, memory_order_relaxed);
}

static void note_locked(struct shard *shard, unsigned i) {
    uint64_t bit = UINT64_C(1) << i;
    uint64_t filled = filled_bins(shard);
    filled = shard->bins[i].first != NULL ? filled | bit : filled & ~bit;
    atomic_store_explicit(&shard->filled, filled, memory_order_relaxed);
}

static bool is_aligned(const struct span *span, size_t align) {
    return (span->base & (align - 1)) == 0;
}

/* NULL: the first is not where it is wanted, or there is none. */
static struct span *pop(struct shard *shard, unsigned i, size_t align) {
    struct bin *bin = &shard->bins[i];
    lock_acquire(&shard->lock);
    struct span *span = bin->first;
    if (span != NULL && is_aligned(span, align)) {
        bin->first = span->next;
        bin->count--;
        bin->low = (uint32_t)min_size(bin->low, bin->count);
        shard->bytes -= span_bytes(span);
        note_locked(shard, i);
    } else {
        span = NULL;
    }
    lock_release(&shard->lock);
    return span;
}

static struct span *take_shared(unsigned first, size_t pages, size_t align) {
    uint64_t wanted = bins_for(pages);
    struct span *span = NULL;
    for (unsigned n = 0; span == NULL && n < SHARDS; n++) {
        struct shard *shard = &shards[(first + n) % SHARDS];
        uint64_t found = filled_bins(shard) & wanted;
        span = found != 0 ? pop(shard, bits_lowest(found), align) : NULL;
    }
    return span;
}

static struct span *remove_own(struct largecache *own, uint32_t i) {
    struct span *span = own->span[i];
    own->count--;
    own->bytes -= span_bytes(span);
    for (; i < own->count; i++) {
        own->span[i] = own->span[i + 1];
    }
    return span;
}

/* The one freed last of those that fit. */
static struct span *take_own(struct largecache *own, size_t pages, size_t align) {
    for (uint32_t i = own->count; i-- > 0;) {
        if (own->span[i]->pages == pages && is_aligned(own->span[i], align)) {
            return remove_own(own, i);
        }
    }
    return NULL;
}

struct span *largecache_take(struct largecache *own, size_t bytes, size_t align) {
    size_t pages = mheap_large_pages(bytes, align);
    struct span *span = take_own(own, pages, align);
    span = span != NULL ? span : take_shared(own->shard, pages, align);
    if (span != NULL) {
        span->needs_zero = span->backed = true;
        mheap_place(span, bytes, align);
        arena_return_large(arena_of(span->base), span);
    }
    return span;
}

/* Whatever the block's size is: small ones would take up all that becomes free otherwise. */
static bool has_room_locked(const struct shard *shard) {
    size_t part = mheap_in_use() / (__libc_single_threaded ? SHARD_PART_ALONE : SHARD_PART);
    return shard->bytes < min_size(part, SHARD_MOST);
}

/* A block made near the end of memory may have a size that no request is rounded to. */
static bool put_shared(unsigned index, struct span *span) {
    struct shard *shard = &shards[index % SHARDS];
    unsigned i = bin_of(span->pages);
    if (i == BINS) {
        return false;
    }
    struct bin *bin = &shard->bins[i];
    lock_acquire(&shard->lock);
    bool room = has_room_locked(shard);
    if (room) {
        span->next = bin->first;
        bin->first = span;
        bin->count++;
        shard->bytes += span_bytes(span);
        note_locked(shard, i);
    }
    lock_release(&shard->lock);
    return room;
}

static void hand_on_oldest(struct largecache *own) {
    struct span *span = remove_own(own, 0);
    if (!put_shared(own->shard, span)) {
        mheap_free(span);
    }
}

bool largecache_put(struct largecache *own, struct span *span) {
    size_t most = min_size(own->most, max_size(OWN_LEAST, mheap_in_use() / OWN_PART));
    size_t bytes = span_bytes(span);
    if (bytes > most) {
        return put_shared(own->shard, span);
    }
    while (own->count == LARGECACHE_OWN || own->bytes + bytes > most) {
        hand_on_oldest(own);
    }
    own->span[own->count++] = span;
    own->bytes += bytes;
    return true;
}

void largecache_flush(struct largecache *own) {
    while (own->count > 0) {
        hand_on_oldest(own);
    }
}

/* ---- giving back ---- */

static size_t release_bin(struct shard *shard, unsigned i, uint32_t blocks, size_t pages) {
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
    for (unsigned n = SHARDS; n-- > 0;) {
        uint64_t rest = filled_bins(&shards[n]);
        for (; rest != 0 && released < pages; rest &= ~(UINT64_C(1) << bits_highest(rest))) {
            released += release_bin(&shards[n], bits_highest(rest), UINT32_MAX, pages - released);
        }
    }
    return released;
}

void largecache_trim(void) {
    for (unsigned n = 0; n < SHARDS; n++) {
        for (uint64_t rest = filled_bins(&shards[n]); rest != 0; rest &= rest - 1) {
            struct bin *bin = &shards[n].bins[bits_lowest(rest)];
            lock_acquire(&shards[n].lock);
            uint32_t low = bin->low;
            bin->low = bin->count - low;
            lock_release(&shards[n].lock);
            release_bin(&shards[n], bits_lowest(rest), low, SIZE_MAX);
        }
    }
}

/* ---- statistics and fork ---- */

size_t largecache_bytes(size_t *blocks, size_t *leads) {
    size_t bytes = 0;
    *blocks = *leads = 0;
    for (unsigned i = 0; i < SHARDS * BINS; i++) {
        struct shard *shard = &shards[i / BINS];
        lock_acquire(&shard->lock);
        for (const struct span *span = shard->bins[i % BINS].first; span; span = span->next) {
            bytes += span_bytes(span);
            *blocks += 1;
            *leads += span_lead(span);
        }
        lock_release(&shard->lock);
    }
    return bytes;
}

/* The lists change by single stores; only the counts and bits may be wrong. */
static void repair(struct shard *shard) {
    shard->bytes = 0;
    for (unsigned i = 0; i < BINS; i++) {
        struct bin *bin = &shard->bins[i];
        bin->count = bin->low = 0;
        for (const struct span *span = bin->first; span != NULL; span = span->next) {
            bin->count++;
            shard->bytes += span_bytes(span);
        }
        note_locked(shard, i);
    }
}

void largecache_reset_in_child(void) {
    for (unsigned n = 0; n < SHARDS; n++) {
        if (lock_reset_in_child(&shards[n].lock)) {
            repair(&shards[n]);
        }
    }
}
