/*
 * An arena: one contiguous reservation of address space for the heap's pages, with its tables
 * beside it. Its pages, and as much of the tables as they need, are opened step by step as the
 * frontier advances. There is one arena unless its address space ends or is in the way of
 * something; further ones are found by a short search off the fast path. See README.md.
 *
 *     base            frontier          reserved            limit
 *      | Ready          | Reserved         | None (not ours)   |  the tables cover up to here
 *
 * The lock of the heap guards everything here, except what free reads without it: base, limit and
 * page_class are set once, before the arena's first block exists, and opened only grows.
 */
#ifndef GOALLOC_ARENA_H
#define GOALLOC_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "base.h"
#include "pagemap.h"
#include "span.h"

enum { MAX_ARENAS = 64, BYTES_PER_MARK = 8, BYTES_PER_SIZE = 16 };

/* A part of an arena's tables, opened from its start as it is needed. */
struct arena_table {
    char *base;
    size_t opened;
};

struct arena {
    uintptr_t base;
    size_t limit;                /* bytes: the tables are for this many */
    _Atomic uint8_t *page_class; /* a byte a page; 0: no small objects there, or of a span that
                                drains. Readable for the whole limit, so that free needs no other
                                test */
    struct span **page_span;   /* the span of each page of small objects, and of the first page of a
                                large block or stack; NULL elsewhere. Readable as far as `opened` */
    _Atomic size_t opened;     /* bytes: Ready is [base, base + opened) */
    size_t reserved;           /* bytes: ours is [base, base + reserved) */
    size_t reserve_step;       /* how much address space to add at a time */
    size_t without_huge_pages; /* bytes from the start on which the kernel is to use none */
    struct pagemap pages;
    char *tables; /* a mapping, Readable, of so many bytes, with the following in it */
    size_t table_space;
    struct arena_table levels; /* of the pagemap */
    struct arena_table chunks;
    struct arena_table spans;
    struct arena_table classes;
    struct arena_table marks; /* checked modes: a bit for every 8 bytes; 1: a block in use starts */
    struct arena_table sizes; /* CHECK=2: 2 bytes for every 16, see contents.h */
};

extern HIDDEN struct arena arenas[MAX_ARENAS];

/* How many arenas there are. */
unsigned arena_count(void);

/* Ends the process if the system's page or the generated tables contradict the constants. */
void arena_check_assumptions(size_t system_page);

/* Makes another arena with room for at least `size` bytes; false: no address space. */
bool arena_add(size_t size);

/* Undoes the last arena_add; nothing of that arena may be in use. */
void arena_remove_last(void);

/*
 * Opens at least `need` more bytes at the frontier, `want` if possible. Their pages read as zero
 * and count as in use; false: refused, nothing changed. Both are multiples of ARENA_GRAIN.
 */
#define ARENA_GRAIN (64 * KIB)
bool arena_grow(struct arena *arena, size_t need, size_t want);

/* Small heaps have no huge pages from the start. This rules them out on all that is reserved by
 * now: where the system wants them everywhere, the kernel would fill what was given back with them.
 * */
void arena_avoid_huge_pages(struct arena *arena);

/* The bytes of the tables that are in use. */
size_t arena_table_bytes(const struct arena *arena);

ALWAYS_INLINE size_t arena_opened(const struct arena *arena) {
    return atomic_load_explicit(&arena->opened, memory_order_relaxed);
}

ALWAYS_INLINE size_t arena_page(const struct arena *arena, uintptr_t address) {
    return (address - arena->base) >> PAGE_SHIFT;
}

ALWAYS_INLINE uintptr_t arena_address(const struct arena *arena, size_t page) {
    return arena->base + (page << PAGE_SHIFT);
}

ALWAYS_INLINE unsigned arena_page_class(const struct arena *arena, size_t page) {
    return atomic_load_explicit(&arena->page_class[page], memory_order_relaxed);
}

/* The arena, but the first, that an address lies in. */
struct arena *arena_search(uintptr_t address);

/* The arena that an address lies in; NULL: none. Mostly it is the first. */
static inline struct arena *arena_of(uintptr_t address) {
    bool first = address - arenas[0].base < arena_opened(&arenas[0]);
    return LIKELY(first) ? &arenas[0] : arena_search(address);
}

/* The span that holds an address of a small object, or that begins at a large block's address;
 * NULL: neither. */
static inline struct span *arena_span(uintptr_t address) {
    const struct arena *arena = arena_of(address);
    return arena == NULL ? NULL : arena->page_span[arena_page(arena, address)];
}

/* Enters a span into the page tables, or removes it. */
void arena_set_span(struct arena *arena, struct span *span);
void arena_clear_span(struct arena *arena, const struct span *span);

/* What frees in a small span's pages see from now on: its class, or 0, so that they miss. */
void arena_set_class(const struct span *span, unsigned class);

/* The span that follows in the page tables, by address; NULL: the first, or none. For the child of
 * a fork, whose only thread changes nothing meanwhile. */
struct span *arena_next_span(const struct span *last);

/* Removes the span of the large block at `base`; false: another thread has done it already. */
ALWAYS_INLINE bool arena_claim_large(struct arena *arena, uintptr_t base, struct span *span) {
    struct span **entry = &arena->page_span[arena_page(arena, base)];
    if (__libc_single_threaded) {
        *entry = NULL;
        return true;
    }
    return __atomic_compare_exchange_n(entry, &span, NULL, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

/* Enters it again. */
ALWAYS_INLINE void arena_return_large(struct arena *arena, struct span *span) {
    arena->page_span[arena_page(arena, span->base)] = span;
}

#endif
