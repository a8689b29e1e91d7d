/*
 * Which pages of an arena are free: bitmaps with radix summaries, after the page allocator of the
 * Go runtime (mpagealloc.go, since 1.14). Pages are numbered from 0.
 *
 * Two sets of pages are kept in step. PAGES_FREE are those that may be allocated. PAGES_DIRTY is
 * a part of it: those that were used and are still backed by memory. A free page that is not dirty
 * reads as zero and costs a page fault at its next use, so dirty ones are used first.
 *
 * A chunk is 512 pages. level[0] has, for each chunk and each set, the run at its start, the
 * longest run and the run at its end; each entry of a higher level sums up eight of the level
 * below. A search for a run of n pages reads a handful of entries a level. Only as many levels are
 * in use as the heap is high: one up to 64 MiB, so that a small process touches none of the upper
 * ones, and has none to keep right.
 *
 * The caller owns the memory and the locking. See README.md.
 */
#ifndef GOALLOC_PAGEMAP_H
#define GOALLOC_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bits.h"

enum page_set { PAGES_FREE, PAGES_DIRTY, PAGE_SETS };

enum {
    CHUNK_PAGES = 512,
    CHUNK_WORDS = CHUNK_PAGES / WORD_BITS,
    PAGEMAP_FANOUT = 8,
    PAGEMAP_TOP_MOST = 16,
    PAGEMAP_LEVELS = 4,
};

#define PAGEMAP_NONE SIZE_MAX

struct page_chunk {
    uint64_t bits[PAGE_SETS][CHUNK_WORDS];
};

/* Lengths in pages: 0 <= start, end <= longest <= the pages that the entry stands for. The runs at
 * the start and the end are exact, the longest is a bound: never less than what is there. */
struct page_runs {
    uint32_t start;
    uint32_t longest;
    uint32_t end;
};

struct page_summary {
    struct page_runs set[PAGE_SETS];
};

struct pagemap {
    struct page_chunk *chunks;                  /* zero beyond chunk_count */
    struct page_summary *level[PAGEMAP_LEVELS]; /* likewise */
    size_t chunk_count;
    unsigned top; /* the lowest level of PAGEMAP_TOP_MOST entries at most, or the last one */
};

/* The entries that level needs for so many chunks. */
size_t pagemap_level_entries(size_t chunks, unsigned level);

/* More chunks, all of their pages in use. Their memory must be there, zero. */
void pagemap_extend(struct pagemap *map, size_t chunk_count);

/* The lowest run of n >= 1 pages of the set; PAGEMAP_NONE: there is none. */
size_t pagemap_find(struct pagemap *map, enum page_set set, size_t n);

/* Are all n pages free? */
bool pagemap_is_free(const struct pagemap *map, size_t page, size_t n);

/* How many pages of the set end just below `page`, counted up to most. */
size_t pagemap_run_before(const struct pagemap *map, enum page_set set, size_t page, size_t most);

/* How many pages of the set there are from `page` on, counted up to most. */
size_t pagemap_run_at(const struct pagemap *map, enum page_set set, size_t page, size_t most);

/* The last run of the set below page `below`: its first page, its length in *n; PAGEMAP_NONE: there
 * is none. A run that reaches over `below` counts up to there. */
size_t pagemap_last_run(const struct pagemap *map, enum page_set set, size_t below, size_t *n);

/* Free -> in use. Returns how many of the pages were dirty. */
size_t pagemap_take(struct pagemap *map, size_t page, size_t n);

/* In use -> free. */
void pagemap_give(struct pagemap *map, size_t page, size_t n, bool dirty);

/* Pages in the set. Walks the bitmaps. */
size_t pagemap_count(const struct pagemap *map, enum page_set set);

/* Computes every summary anew from the bitmaps, after a fork cut an update in two. */
void pagemap_rebuild(struct pagemap *map);

/* Do all summaries agree with the bitmaps? For tests and debug builds. */
bool pagemap_is_valid(const struct pagemap *map);

#endif
