/*
 * Reservation by hint with all fall-backs, and the page tables. See arena.h and README.md.
 *
 * An arena reserves a gigabyte at first and extends itself in place by as much when that is used
 * up: the hints lead to empty regions, where it almost always works. To reserve the whole limit at
 * once would gain nothing and costs where a mapping does: under qemu-user, which keeps a flag for
 * each page of it, 512 GiB took 38 s and 6 GB. Under RLIMIT_AS, which counts reservations, the step
 * is a sixteenth of the limit, so that threads find room for their stacks.
 */
#include "arena.h"

#include <assert.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "arch.h"
#include "fatal.h"
#include "options.h"
#include "os.h"

enum { HINTS = 0x80 };

#define CHUNK_BYTES ((size_t)CHUNK_PAGES << PAGE_SHIFT)
#define SMALLEST_ARENA CHUNK_BYTES
#define RESERVE_STEP GIB
#define NO_HUGE_PAGES_BELOW (32 * MIB)
#define LEAST_HUGE_PAGE (2 * MIB) /* of any system */
#define CHECKED_MOST (64 * GIB)   /* with a table of an eighth of that beside it */

WIDE_ARRAY struct arena arenas[MAX_ARENAS];
static _Atomic unsigned count;

static_assert(ARENA_GRAIN % PAGE_SIZE == 0, "growth opens whole pages");

unsigned arena_count(void) {
    return atomic_load_explicit(&count, memory_order_acquire);
}

void arena_check_assumptions(size_t system_page) {
    if (!is_power_of_two(system_page) || system_page < 4 * KIB) {
        fatal("the system's page of %zu bytes is no power of two from 4096 up", system_page);
    }
    if (system_page > ARENA_GRAIN) {
        fatal("the system's page of %zu bytes is larger than %zu", system_page,
              (size_t)ARENA_GRAIN);
    }
    if (class_to_size[size_class(1)] != 8 || class_to_size[size_class(9)] != 16 ||
        class_to_size[size_class(MAX_SMALL_SIZE)] != MAX_SMALL_SIZE) {
        fatal("the generated size classes contradict the constants");
    }
}

/* ---- address space ---- */

/* False: so much cannot be had at any address. */
static bool is_obtainable(size_t size) {
    void *probe = os_reserve(NULL, size);
    if (probe != NULL) {
        os_unreserve(probe, size);
    }
    return probe != NULL;
}

/* At the first hint that is free, else where the kernel likes. Near the end of memory not all of
 * them are tried in vain for each malloc that fails. */
static void *reserve_by_hint(size_t size) {
    for (unsigned i = 0; i < HINTS; i++) {
        uint64_t hint = arch_hint(i);
        if (hint == 0 || hint >> ARCH_ADDRESS_BITS != 0) {
            break;
        }
        if (os_reserve_at((void *)(uintptr_t)hint, size)) {
            return (void *)(uintptr_t)hint;
        }
        if (i == 0 && !is_obtainable(size)) {
            return NULL;
        }
    }
    return os_reserve(NULL, size);
}

/* The grain in front of an odd address is lost: large blocks may want 64 KiB alignment. */
static bool reserve_arena(struct arena *arena, size_t size) {
    uintptr_t got = (uintptr_t)reserve_by_hint(size);
    if (got == 0) {
        return false;
    }
    uintptr_t base = align_up(got, ARENA_GRAIN);
    arena->reserved = align_down(got + size - base, ARENA_GRAIN);
    arena->base = base;
    return true;
}

static bool table_open(struct arena_table *table, size_t bytes) {
    size_t opened = align_up(bytes, ARENA_GRAIN);
    if (opened <= table->opened) {
        return true;
    }
    if (!os_open(table->base + table->opened, opened - table->opened)) {
        return false;
    }
    table->opened = opened;
    return true;
}

static size_t chunks_for(size_t pages) {
    return (pages + CHUNK_PAGES - 1) / CHUNK_PAGES;
}

static size_t level_bytes(size_t chunks, unsigned level) {
    return pagemap_level_entries(chunks, level) * sizeof(struct page_summary);
}

/* The levels of summaries are one table, the highest first, with the lowest for so many chunks. */
static size_t levels_bytes(const struct arena *arena, size_t chunks) {
    size_t all = chunks_for(arena->limit >> PAGE_SHIFT), bytes = level_bytes(chunks, 0);
    for (unsigned level = 1; level < PAGEMAP_LEVELS; level++) {
        bytes += level_bytes(all, level);
    }
    return bytes;
}

static void place_levels(struct arena *arena) {
    char *next = arena->levels.base;
    for (unsigned level = PAGEMAP_LEVELS; level-- > 0;) {
        arena->pages.level[level] = (struct page_summary *)(void *)next;
        next += level_bytes(chunks_for(arena->limit >> PAGE_SHIFT), level);
    }
}

static void place(struct arena_table *table, uintptr_t *next, size_t bytes) {
    table->base = (char *)*next;
    *next += align_up(bytes, ARENA_GRAIN);
}

/* Returns the end of the last table. */
static uintptr_t place_tables(struct arena *arena, uintptr_t start) {
    size_t pages = arena->limit >> PAGE_SHIFT, chunks = chunks_for(pages);
    uintptr_t next = start;
    place(&arena->levels, &next, levels_bytes(arena, chunks));
    place(&arena->chunks, &next, chunks * sizeof(struct page_chunk));
    place(&arena->spans, &next, pages * sizeof(struct span *));
    place(&arena->classes, &next, pages * sizeof(uint8_t));
    if (options_check_every()) {
        place(&arena->marks, &next, arena->limit / (BYTES_PER_MARK * 8));
    }
    if (options.check == CHECK_CONTENTS) {
        place(&arena->sizes, &next, arena->limit / BYTES_PER_SIZE * 2);
    }
    return next;
}

/* All in one mapping, since a process that starts waits for each system call. Of none is so much
 * opened at first that a huge page would fit. */
static bool reserve_tables(struct arena *arena) {
    arena->table_space = place_tables(arena, 0);
    arena->tables = os_map_readable(arena->table_space);
    if (arena->tables == NULL) {
        return false;
    }
    place_tables(arena, (uintptr_t)arena->tables);
    place_levels(arena);
    arena->pages.chunks = (struct page_chunk *)(void *)arena->chunks.base;
    arena->page_span = (struct span **)(void *)arena->spans.base;
    arena->page_class = (_Atomic uint8_t *)arena->classes.base;
    return true;
}

static bool open_tables(struct arena *arena, size_t end) {
    size_t pages = end >> PAGE_SHIFT, chunks = chunks_for(pages);
    bool marks = arena->marks.base != NULL, sizes = arena->sizes.base != NULL;
    return table_open(&arena->levels, levels_bytes(arena, chunks)) &&
           table_open(&arena->chunks, chunks * sizeof(struct page_chunk)) &&
           table_open(&arena->spans, pages * sizeof(struct span *)) &&
           table_open(&arena->classes, pages * sizeof(uint8_t)) &&
           (!marks || table_open(&arena->marks, end / (BYTES_PER_MARK * 8))) &&
           (!sizes || table_open(&arena->sizes, end / BYTES_PER_SIZE * 2));
}

static void release_arena(struct arena *arena) {
    if (arena->tables != NULL) {
        os_unreserve(arena->tables, arena->table_space);
    }
    if (arena->reserved != 0) {
        os_unreserve((void *)arena->base, arena->reserved);
    }
    *arena = (struct arena){.base = 0};
}

static bool try_arena(struct arena *arena, size_t reserve, size_t limit) {
    *arena = (struct arena){.base = 0}; /* a fork may have left half of one */
    if (!reserve_arena(arena, reserve)) {
        return false;
    }
    arena->limit = max_size(arena->reserved, limit);
    arena->reserve_step = reserve;
    if (reserve_tables(arena)) {
        return true;
    }
    release_arena(arena);
    return false;
}

bool arena_add(size_t size) {
    unsigned index = arena_count();
    if (index == MAX_ARENAS) {
        return false;
    }
    struct arena *arena = &arenas[index];
    size_t space = os_address_space_limit();
    bool limited = space != SIZE_MAX;
    size_t step = limited ? align_down(space / 16, CHUNK_BYTES) : RESERVE_STEP;
    size_t most = options.check == CHECK_CONTENTS ? CHECKED_MOST : SIZE_MAX;
    size_t limit = align_up(min_size(min_size(space, options.arena_max), most), ARENA_GRAIN);
    size_t least = max_size(align_up(size + ARENA_GRAIN, ARENA_GRAIN), SMALLEST_ARENA);
    size_t reserve = max_size(min_size(step, limit), least);
    while (!try_arena(arena, reserve, limit)) {
        if (reserve == least) {
            return false;
        }
        reserve = max_size(align_down(reserve / 2, ARENA_GRAIN), least);
        limit = align_down(limit / 2, ARENA_GRAIN);
    }
    atomic_store_explicit(&count, index + 1, memory_order_release);
    return true;
}

void arena_remove_last(void) {
    unsigned last = arena_count() - 1;
    atomic_store_explicit(&count, last, memory_order_relaxed);
    release_arena(&arenas[last]);
}

/* More address space behind the arena, for `end` bytes in all. */
static bool extend_reservation(struct arena *arena, size_t end) {
    size_t least = end - arena->reserved;
    size_t step = max_size(min_size(arena->reserve_step, arena->limit - arena->reserved), least);
    while (!os_reserve_at((void *)(arena->base + arena->reserved), step)) {
        if (step == least) {
            return false;
        }
        step = max_size(align_down(step / 2, ARENA_GRAIN), least);
    }
    arena->reserved += step;
    return true;
}

static bool open_to(struct arena *arena, size_t end) {
    size_t opened = arena_opened(arena);
    if (end > arena->limit || (end > arena->reserved && !extend_reservation(arena, end))) {
        return false;
    }
    if (end >= LEAST_HUGE_PAGE && arena->without_huge_pages == 0) {
        arena->without_huge_pages = min_size(arena->reserved, NO_HUGE_PAGES_BELOW);
        os_avoid_huge_pages((void *)arena->base, arena->without_huge_pages);
    }
    if (!open_tables(arena, end) || !os_open((void *)(arena->base + opened), end - opened)) {
        return false;
    }
    pagemap_extend(&arena->pages, chunks_for(end >> PAGE_SHIFT));
    atomic_store_explicit(&arena->opened, end, memory_order_release);
    return true;
}

bool arena_grow(struct arena *arena, size_t need, size_t want) {
    size_t opened = arena_opened(arena);
    if (need > arena->limit - opened) {
        return false;
    }
    return open_to(arena, opened + min_size(max_size(need, want), arena->limit - opened)) ||
           open_to(arena, opened + need);
}

void arena_avoid_huge_pages(struct arena *arena) {
    size_t end = arena->reserved, start = arena->without_huge_pages;
    if (start < end) {
        os_avoid_huge_pages((void *)(arena->base + start), end - start);
        arena->without_huge_pages = end;
    }
}

size_t arena_table_bytes(const struct arena *arena) {
    size_t pages = arena_opened(arena) >> PAGE_SHIFT;
    size_t per_chunk = sizeof(struct page_chunk) + sizeof(struct page_summary);
    return pages * (sizeof(uint8_t) + sizeof(struct span *)) + arena->pages.chunk_count * per_chunk;
}

SLOW_PATH struct arena *arena_search(uintptr_t address) {
    for (unsigned i = 1, n = arena_count(); i < n; i++) {
        if (address - arenas[i].base < arena_opened(&arenas[i])) {
            return &arenas[i];
        }
    }
    return NULL;
}

/* ---- page tables ---- */

/* The pages that its span must be found by: all of those of objects and of stacks, the first of a
 * large block, and of a span with one stack, which may be huge, those up to where the stack begins,
 * behind a guard. */
static size_t entered_pages(const struct span *span) {
    if (span->class != 0 || span->objects > 1) {
        return span->pages;
    }
    return span->stack == 0 ? 1 : min_size(span->pages, os_page_size() / PAGE_SIZE + 1);
}

static void set_pages(struct arena *arena, size_t page, size_t n, struct span *span) {
    for (size_t i = 0; i < n; i++) {
        arena->page_span[page + i] = span;
    }
}

static void set_classes(struct arena *arena, size_t page, size_t n, unsigned class) {
    for (size_t i = 0; i < n; i++) {
        atomic_store_explicit(&arena->page_class[page + i], (uint8_t)class, memory_order_relaxed);
    }
}

/* The entry of the first page is what tells the child of a fork that there is a span. It is made
 * last and removed first, so that no span is found with half of its pages entered. */
void arena_set_span(struct arena *arena, struct span *span) {
    size_t page = arena_page(arena, span->base), n = entered_pages(span);
    set_pages(arena, page + 1, n - 1, span);
    if (span->class != 0) {
        set_classes(arena, page, n, span->class);
    }
    atomic_signal_fence(memory_order_seq_cst);
    arena->page_span[page] = span;
}

void arena_clear_span(struct arena *arena, const struct span *span) {
    size_t page = arena_page(arena, span->base), n = entered_pages(span);
    arena->page_span[page] = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    if (span->class != 0) {
        set_classes(arena, page, n, 0);
    }
    set_pages(arena, page + 1, n - 1, NULL);
}

void arena_set_class(const struct span *span, unsigned class) {
    struct arena *arena = arena_of(span->base);
    set_classes(arena, arena_page(arena, span->base), span->pages, class);
}

struct span *arena_next_span(const struct span *last) {
    struct arena *arena = last != NULL ? arena_of(last->base) : arenas;
    size_t page = last != NULL ? arena_page(arena, last->base) + last->pages : 0;
    for (; arena < arenas + arena_count(); arena++, page = 0) {
        for (; page < arena_opened(arena) >> PAGE_SHIFT; page++) {
            struct span *span = arena->page_span[page];
            if (span != NULL && arena_page(arena, span->base) == page) {
                return span;
            }
        }
    }
    return NULL;
}
