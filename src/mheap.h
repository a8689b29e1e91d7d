/*
 * The page heap: hands out runs of pages as spans and takes them back. First fit by address, pages
 * that are still backed by memory before those that would fault; a freed run merges with its
 * neighbours by itself, since a run is nothing but neighbouring bits. It gives nothing back to the
 * system on its own, so a program that allocates and frees megabytes in a loop makes no system call
 * and no page fault after the first round; scavenge.c does it for pages that lie idle. See
 * README.md.
 *
 * Every function takes the lock of the heap and none is called with it. NULL and false mean that no
 * memory could be had; nothing has changed then.
 */
#ifndef GOALLOC_MHEAP_H
#define GOALLOC_MHEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "span.h"

/* Which pages will do: those that have been in use and are still backed by memory, or any. */
enum mheap_pages { MHEAP_BACKED, MHEAP_ANY };

/* Spans of objects of one class, all free: as many as fit in a row where there is room for one, up
 * to n. They are linked by `next`, the highest first. */
struct span *mheap_alloc_small(unsigned class, size_t n, enum mheap_pages which);

/* A block of at least `bytes` (at most PTRDIFF_MAX), at a multiple of align, a power of two. Where
 * that is less than a page, the block may begin behind the start of its pages. A large one that
 * takes pages which are not backed may have others given back. */
struct span *mheap_alloc_large(size_t bytes, size_t align, enum mheap_pages which);

/* The same for 1 to 64 stacks of a kind of stackpool.h, all free. */
struct span *mheap_alloc_stacks(size_t bytes, unsigned kind, unsigned stacks);

/* Eight steps per doubling: sizes repeat, so freed runs fit again, and a block that grows byte by
 * byte moves rarely. What is never touched costs no memory. */
ALWAYS_INLINE size_t mheap_pages(size_t bytes) {
    size_t pages = pages_for(bytes);
    unsigned log = bits_highest(pages);
    return log <= 3 ? pages : align_up(pages, (size_t)1 << (log - 3));
}

/* From what size on a block's start is spread, and for how much of that there must be room. */
#define MHEAP_SPREAD_FROM (128 * KIB)
#define MHEAP_LEAD_LEAST KIB

ALWAYS_INLINE bool mheap_is_spread(size_t bytes, size_t align) {
    return bytes >= MHEAP_SPREAD_FROM && align <= CACHE_LINE;
}

/* The pages that mheap_alloc_large takes. */
ALWAYS_INLINE size_t mheap_large_pages(size_t bytes, size_t align) {
    size_t lead = mheap_is_spread(bytes, align) ? MHEAP_LEAD_LEAST : 0;
    return max_size(mheap_pages(max_size(bytes, 1)), pages_for(bytes + lead));
}

/* Has a block for such a large request begin somewhere in its first page, or at its start: see
 * README.md. */
void mheap_place(struct span *span, size_t bytes, size_t align);

/* Has a large block begin so many cache lines behind the start of its pages. */
void mheap_set_lead(struct span *span, unsigned lines);

/* The span's pages become free; the descriptor is gone. No object in it may be in use. */
void mheap_free(struct span *span);

/* The same for small spans linked by `next`. Those that are neighbours there go back as one run. */
void mheap_free_small(struct span *list);

/* Shrinks or grows a large block where it is, to the pages that `bytes` behind its lead need. */
bool mheap_resize(struct span *span, size_t bytes);

/* Gives free pages back to the system, the highest first, until at most `keep` bytes of them are
 * backed by memory or so many system calls have been made. Returns the bytes given back. */
size_t mheap_release(size_t keep, size_t calls);

/* The bytes of free pages that were never less since the last call: that much lay idle. */
size_t mheap_idle(void);

/* The bytes of all spans, and of free pages that are backed by memory. Guesses while others change
 * them; no lock is taken. */
size_t mheap_in_use(void);
size_t mheap_free_dirty(void);

/* The pages that spans have been made of since the start. */
size_t mheap_taken(void);

/* In bytes; mapped == in_use + free_dirty + free_clean. */
struct mheap_stats {
    size_t mapped;
    size_t in_use;
    size_t large; /* the part of in_use that is large blocks, without their leads */
    size_t free_dirty;
    size_t free_clean;
    size_t tables;
    size_t large_blocks;
};
struct mheap_stats mheap_get_stats(void);

/* In the child of a fork. */
void mheap_reset_in_child(void);

/* Walks everything; for tests. */
bool mheap_is_valid(void);

#endif
