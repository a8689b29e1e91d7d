/*
 * Large blocks that were freed, kept as they are for the next request of their size: a program that
 * takes and drops buffers of some 100 KiB need not have the heap look for pages each time, nor wait
 * for its lock where there are several threads. A stack for each size below 1 MiB and shard, with a
 * lock of its own, bounded by bytes. What is kept goes back to the heap before that uses fresh
 * pages, and when nobody has needed it for a while. See README.md.
 *
 * A kept block has no entry in the page table, as if its pages were free.
 */
#ifndef GOALLOC_LARGECACHE_H
#define GOALLOC_LARGECACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "span.h"

/* A block for a request as of mheap_alloc_large, not zero, of the shard or else of another; NULL:
 * none is kept. Any number stands for a shard. */
struct span *largecache_take(unsigned shard, size_t bytes, size_t align);

/* Keeps a block that is in use no more, and in no page table; false: it is still the caller's. */
bool largecache_put(unsigned shard, struct span *span);

/* Gives kept blocks back to the heap, of each shard the large ones first, until they have so many
 * pages. Returns their pages; fewer: there were no more. */
size_t largecache_release(size_t pages);

/* Gives those back that nobody has needed since the last call. */
void largecache_trim(void);

/* The bytes of all kept blocks, how many there are, and how much of that their leads are. */
size_t largecache_bytes(size_t *blocks, size_t *leads);

/* In the child of a fork. */
void largecache_reset_in_child(void);

#endif
