/*
 * Large blocks that were freed, kept as they are for the next request of their size: a program that
 * takes and drops buffers of some 100 KiB need not have the heap look for pages each time, nor wait
 * for a lock. Each thread keeps a few for itself, and hands the oldest on to one of four shards,
 * where all find them: a lock, a stack for each size below 1 MiB, and a bound in bytes. What shards
 * keep goes back to the heap before that uses fresh pages, and when nobody has needed it for a
 * while. See README.md.
 *
 * A kept block has no entry in the page table, as if its pages were free.
 */
#ifndef GOALLOC_LARGECACHE_H
#define GOALLOC_LARGECACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { LARGECACHE_OWN = 4 };

/* What a thread keeps for itself, the last one freed last. Part of its cache; only its slow path
 * comes here. All zero: it keeps nothing, and belongs to shard 0. */
struct largecache {
    struct span *span[LARGECACHE_OWN];
    uint32_t count;
    unsigned shard;  /* the thread's; any number stands for one */
    size_t bytes;    /* of all of them */
    size_t most;     /* that it may be */
    unsigned period; /* of the scavenger, when it was emptied last; see alloc.c */
};

/* A block for a request as of mheap_alloc_large, not zero: the thread's own, its shard's, or one of
 * another shard; NULL: none is kept. */
struct span *largecache_take(struct largecache *own, size_t bytes, size_t align);

/* Keeps a block that is in use no more, and in no page table; false: it is still the caller's. */
bool largecache_put(struct largecache *own, struct span *span);

/* Hands all that the thread keeps on to its shard, or to the heap. */
void largecache_flush(struct largecache *own);

/* Gives kept blocks back to the heap, of each shard the large ones first, until they have so many
 * pages. Returns their pages; fewer: there were no more. */
size_t largecache_release(size_t pages);

/* Gives those back that nobody has needed since the last call. */
void largecache_trim(void);

/* The bytes of the blocks that shards keep, how many there are, and how much of that their leads
 * are. */
size_t largecache_bytes(size_t *blocks, size_t *leads);

/* In the child of a fork. */
void largecache_reset_in_child(void);

#endif
