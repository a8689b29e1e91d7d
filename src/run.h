/*
 * A run: pages in a row, of one arena. These find free ones, first fit by address, and take them.
 * Whoever calls them holds the lock of the page heap, and counts what is dirty. False: there are
 * none, and no page has changed. See mheap.h and README.md.
 */
#ifndef GOALLOC_RUN_H
#define GOALLOC_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "pagemap.h"

struct run {
    struct arena *arena;
    size_t page;
    size_t pages;
    size_t dirty; /* how many of them were backed by memory when they were taken */
};

/*
 * Takes pages of the set at a multiple of align bytes, a power of two: `least`, or twice as many,
 * or more, up to `most`, a multiple, where so many follow.
 */
bool run_take(enum page_set set, size_t least, size_t most, size_t align, struct run *out);

/* The same of any pages: dirty ones first, then free ones, then new ones. */
bool run_take_any(size_t least, size_t most, size_t align, struct run *out);

/* Takes the `extra` pages from `page` on, if all are free or still to be opened. */
bool run_take_at(struct arena *arena, size_t page, size_t extra, struct run *out);

#endif
