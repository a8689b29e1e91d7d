/*
 * Classes that are sparse: whose spans are mostly free.
 *
 * A thread's free objects are used again before anything else, so what is live of a class that
 * shrinks, but is in use, would stay where it is, scattered over the spans of its best time. Such
 * spans are made to drain: the page table says class 0 of their pages, so that a free of their
 * objects misses and gives them back at once, and no thread gets another while there is any
 * elsewhere. That costs nothing unless a class is sparse, and then one slow free for each object
 * that is in the way. Where there are many, a page of theirs goes back to the system once it has no
 * object in use any more, before the rest of the span is free.
 *
 * What drains is only what is in the way of something. So the spans of sparse classes, draining or
 * not, are also looked through now and then, for pages that have had no object in use for a while.
 *
 * See README.md. Only sparse_punch_all waits for locks.
 */
#ifndef GOALLOC_SPARSE_H
#define GOALLOC_SPARSE_H

#include <stdbool.h>
#include <stddef.h>

struct mcentral;
struct span;

/* Would eight ninths of the pages do for all objects that are out? A guess while others change
 * it. */
bool sparse_is(unsigned shard, unsigned class);

/* Has the emptiest spans of a class drain until it is not sparse any more in any shard, or many do.
 * One whose lock is held is left out. True: some began to. */
bool sparse_drain(unsigned class);

/* Gives the free pages of a span that drains back to the system, unless the class is small. */
void sparse_punch_locked(const struct mcentral *central, struct span *span);

/* Gives the pages of all spans back to the system that only have free objects. Returns the
 * bytes. */
size_t sparse_punch_all(void);

/* Looks at some spans of sparse classes, for pages to give back that have been free for a period of
 * scavenge.h. By and by, call by call, it comes by all of them once a period. True: it has more to
 * look at. */
bool sparse_punch_idle(void);

/* In the child of a fork. */
void sparse_reset_in_child(void);

#endif
