/* The page heap. See mheap.h and README.md. */
#include "mheap.h"

#include "arena.h"
#include "contents.h"
#include "lock.h"
#include "options.h"
#include "os.h"
#include "pagemap.h"
#include "run.h"

/* The least block that has others' pages given back; for less the calls take too long. */
#define SURPLUS_FROM MIB

/* Less than this much of holes is left alone. A table that doubles leaves as much at each step. */
#define SURPLUS_SLACK (2 * MIB)

/* The system calls for one block: a millisecond or two. */
enum { SURPLUS_CALLS = 256 };

/* Of system calls that give pages back, one that is refused counts as so many: memory that is
 * locked stays refused. */
enum { REFUSED_AS = 32 };

static struct lock heap_lock = LOCK_INIT;
static size_t pages_in_use;
static size_t in_use_high; /* the most that pages_in_use was since mheap_idle asked last */
static size_t pages_large;
static size_t pages_dirty; /* free and dirty */
static size_t dirty_low;   /* the least that pages_dirty was since mheap_idle asked last */
static size_t large_blocks;
static size_t pages_leaving; /* on their way back to the system, and in the heap again after it */
static _Atomic size_t pages_taken; /* see mheap_taken */
static _Atomic size_t lead_lines;  /* of all large blocks */

/* Over how many cache lines a block's start is spread at most. */
#define PLACES (4 * KIB / CACHE_LINE)

/* ---- counts and pages, with the lock held ---- */

/* So many of the pages that were taken are dirty. */
static void note_taken_locked(size_t dirty) {
    pages_dirty -= dirty;
    dirty_low = min_size(dirty_low, pages_dirty);
}

static void give_pages_locked(struct arena *arena, size_t page, size_t n, bool dirty) {
    pagemap_give(&arena->pages, page, n, dirty);
    pages_dirty += dirty ? n : 0;
}

/* ---- giving back ---- */

/* The whole system pages inside a run of heap pages; false: none. */
static bool shrink_to_system_pages(const struct arena *arena, size_t *page, size_t *n) {
    size_t grain = max_size(os_page_size(), PAGE_SIZE);
    uintptr_t start = align_up(arena_address(arena, *page), grain);
    uintptr_t end = align_down(arena_address(arena, *page + *n), grain);
    if (start >= end) {
        return false;
    }
    *page = arena_page(arena, start);
    *n = (end - start) >> PAGE_SHIFT;
    return true;
}

/* Takes the last `most` pages of the last dirty run below page *below out of the heap, gives them
 * back to the system with no lock held, and returns them clean. *below moves down, to 0 in the end.
 * The kernel must not fill holes that are to stay with huge pages. *calls_left counts the system
 * calls. Returns the pages given back. */
static size_t release_last(struct arena *arena, size_t *below, size_t most, bool to_stay,
                           size_t *calls_left) {
    size_t n;
    lock_acquire(&heap_lock);
    size_t page = pagemap_last_run(&arena->pages, PAGES_DIRTY, *below, &n);
    *below = page == PAGEMAP_NONE ? 0 : page + n - min_size(n, most);
    page += n - min_size(n, most);
    n = min_size(n, most);
    bool whole = n > 0 && shrink_to_system_pages(arena, &page, &n);
    if (whole) {
        note_taken_locked(pagemap_take(&arena->pages, page, n));
        pages_leaving += n;
    }
    if (whole && to_stay) {
        arena_avoid_huge_pages(arena);
    }
    lock_release(&heap_lock);
    if (!whole) {
        return 0;
    }
    bool zero = os_discard((void *)arena_address(arena, page), n << PAGE_SHIFT);
    *calls_left -= min_size(*calls_left, zero ? 1 : REFUSED_AS);
    lock_acquire(&heap_lock);
    give_pages_locked(arena, page, n, !zero);
    pages_leaving -= min_size(pages_leaving, n); /* 0 in the child of a fork */
    lock_release(&heap_lock);
    return zero ? n : 0;
}

/* So many pages, the highest first, as far as so many system calls go. */
static size_t release(size_t goal, bool to_stay, size_t calls) {
    size_t released = 0;
    for (unsigned i = arena_count(); i-- > 0;) {
        for (size_t below = SIZE_MAX; below > 0 && released < goal && calls > 0;) {
            released += release_last(&arenas[i], &below, goal - released, to_stay, &calls);
        }
    }
    return released;
}

/* ---- spans ---- */

static void count_locked(size_t pages, bool large) {
    pages_in_use += pages;
    in_use_high = max_size(in_use_high, pages_in_use);
    pages_large += large ? pages : 0;
    large_blocks += large;
    size_t before = atomic_load_explicit(&pages_taken, memory_order_relaxed);
    atomic_store_explicit(&pages_taken, before + pages, memory_order_relaxed);
}

static void uncount_locked(size_t pages, bool large) {
    pages_in_use -= pages;
    pages_large -= large ? pages : 0;
    large_blocks -= large;
}

/* What a span is to hold: objects of a class, stacks of a kind, or, with no number, a block. */
struct contents {
    unsigned class;
    unsigned kind;
    unsigned stacks;
};

static bool is_large(struct contents contents) {
    return contents.class == 0 && contents.stacks == 0;
}

/* What another thread is giving back to the system can be had a moment later. */
static bool take_any_in_the_end_locked(size_t least, size_t most, size_t align, struct run *run) {
    while (!run_take_any(least, most, align, run)) {
        if (pages_leaving == 0) {
            return false;
        }
        lock_release(&heap_lock);
        os_yield();
        lock_acquire(&heap_lock);
    }
    return true;
}

static bool take_run(size_t least, size_t most, struct contents contents, size_t align,
                     enum mheap_pages which, struct run *run) {
    lock_acquire(&heap_lock);
    bool taken = which == MHEAP_BACKED ? run_take(PAGES_DIRTY, least, most, align, run)
                                       : take_any_in_the_end_locked(least, most, align, run);
    if (taken) {
        note_taken_locked(run->dirty);
        count_locked(run->pages, is_large(contents));
    }
    lock_release(&heap_lock);
    return taken;
}

static void give_run(const struct run *run, bool large) {
    lock_acquire(&heap_lock);
    give_pages_locked(run->arena, run->page, run->pages, true);
    uncount_locked(run->pages, large);
    lock_release(&heap_lock);
}

/* A span of the first `pages` of a run, which are no longer the run's; NULL: no descriptor. */
static struct span *cut_span(struct run *run, size_t pages, struct contents contents) {
    uintptr_t base = arena_address(run->arena, run->page);
    struct span *span = contents.stacks == 0
                            ? span_create(base, pages, contents.class)
                            : span_create_stacks(base, pages, contents.kind, contents.stacks);
    if (span == NULL) {
        return NULL;
    }
    span->needs_zero = run->dirty > 0;
    if (contents.class != 0 && options.check == CHECK_CONTENTS) {
        contents_prepare(span); /* before the child of a fork could find it in the tables */
    }
    arena_set_span(run->arena, span);
    run->page += pages;
    run->pages -= pages;
    return span;
}

static struct span *alloc_span(size_t pages, struct contents contents, size_t align,
                               enum mheap_pages which) {
    struct run run;
    if (!take_run(pages, pages, contents, align, which, &run)) {
        return NULL;
    }
    struct span *span = cut_span(&run, pages, contents);
    if (span == NULL) {
        give_run(&run, is_large(contents));
        return NULL;
    }
    span->backed = run.dirty == pages;
    return span;
}

struct span *mheap_alloc_small(unsigned class, size_t n, enum mheap_pages which) {
    struct contents contents = {.class = class};
    size_t pages = class_to_pages[class];
    struct span *list = NULL, *span;
    struct run run;
    if (!take_run(pages, n * pages, contents, PAGE_SIZE, which, &run)) {
        return NULL;
    }
    while (run.pages > 0 && (span = cut_span(&run, pages, contents)) != NULL) {
        span->next = list;
        list = span;
    }
    if (run.pages > 0) {
        give_run(&run, false);
    }
    return list;
}

/* Arrays that are walked together would, if all began at a page, compete for the few lines that the
 * processor's first cache has for each place of a page. So the places are spread, by the fraction
 * of the page's number times the golden ratio: Knuth, "Sorting and Searching", 6.4. */
void mheap_place(struct span *span, size_t bytes, size_t align) {
    uint64_t page = span->base >> PAGE_SHIFT;
    uint64_t places = min_size((span_bytes(span) - bytes) / CACHE_LINE + 1, PLACES);
    uint64_t fraction = page * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    mheap_set_lead(span, mheap_is_spread(bytes, align) ? (unsigned)(fraction * places >> 32) : 0);
}

void mheap_set_lead(struct span *span, unsigned lines) {
    if (lines != span->lead) {
        size_t more = (size_t)lines - span->lead;
        atomic_fetch_add_explicit(&lead_lines, more, memory_order_relaxed);
        span->lead = (uint8_t)lines;
    }
}

/* Holes that no large block fits into must not add up: once the pages that are backed exceed the
 * most that were in use at once, lately, by an eighth and by 2 MiB, a block that had to take others
 * gives as many of the holes back. It faults its own in, which takes longer. */
static void release_surplus(size_t pages) {
    lock_acquire(&heap_lock);
    size_t slack = max_size(in_use_high / 8, SURPLUS_SLACK >> PAGE_SHIFT);
    size_t most = in_use_high + slack, backed = pages_in_use + pages_dirty;
    size_t surplus = backed > most ? backed - most : 0;
    lock_release(&heap_lock);
    if (surplus > 0) {
        release(min_size(surplus, pages), false, SURPLUS_CALLS);
    }
}

/* A span counts its pages in 32 bits; that and the slack for alignment bound a request far beyond
 * any machine's memory. */
#define PAGES_MOST ((size_t)UINT32_MAX)

struct span *mheap_alloc_large(size_t bytes, size_t align, enum mheap_pages which) {
    size_t exact = pages_for(max_size(bytes, 1)), pages = mheap_large_pages(bytes, align);
    if (pages > PAGES_MOST || align >> PAGE_SHIFT > PAGES_MOST) {
        return NULL;
    }
    struct span *span = alloc_span(pages, (struct contents){0}, align, which);
    if (span == NULL && exact < pages &&
        which == MHEAP_ANY) { /* near the end of memory: not rounded */
        span = alloc_span(exact, (struct contents){0}, align, which);
    }
    if (span != NULL) {
        mheap_place(span, bytes, align);
    }
    if (span != NULL && !span->backed && bytes >= SURPLUS_FROM) {
        release_surplus(span->pages);
    }
    return span;
}

struct span *mheap_alloc_stacks(size_t bytes, unsigned kind, unsigned stacks) {
    size_t pages = pages_for(bytes);
    struct contents contents = {.kind = kind, .stacks = stacks};
    return alloc_span(pages, contents, max_size(PAGE_SIZE, os_page_size()), MHEAP_ANY);
}

/* The page tables forget the span, and its descriptor is gone. */
static struct run remove_span(struct span *span) {
    struct arena *arena = arena_of(span->base);
    struct run run = {arena, arena_page(arena, span->base), span->pages, span->pages};
    if (span->class != 0 && options.check == CHECK_CONTENTS) {
        contents_verify_span(span); /* while the page tables know it */
    }
    arena_clear_span(arena, span);
    if (span_is_large(span)) {
        mheap_set_lead(span, 0);
    }
    span_destroy(span);
    return run;
}

void mheap_free(struct span *span) {
    bool large = span_is_large(span);
    struct run run = remove_span(span);
    give_run(&run, large);
}

/* False: the other run is not a neighbour of this one, and does not become a part of it. */
static bool join(struct run *run, const struct run *other) {
    bool behind = other->page == run->page + run->pages;
    bool before = run->page == other->page + other->pages;
    if (run->arena != other->arena || (!behind && !before)) {
        return false;
    }
    run->page = min_size(run->page, other->page);
    run->pages += other->pages;
    return true;
}

void mheap_free_small(struct span *list) {
    struct run run = {0};
    while (list != NULL) {
        struct span *next = list->next;
        struct run other = remove_span(list);
        if (!join(&run, &other)) {
            if (run.pages > 0) {
                give_run(&run, false);
            }
            run = other;
        }
        list = next;
    }
    if (run.pages > 0) {
        give_run(&run, false);
    }
}

static bool grow_span_locked(struct arena *arena, size_t page, size_t extra) {
    struct run run;
    if (!run_take_at(arena, page, extra, &run)) {
        return false;
    }
    note_taken_locked(run.dirty);
    pages_in_use += extra;
    in_use_high = max_size(in_use_high, pages_in_use);
    pages_large += extra;
    return true;
}

bool mheap_resize(struct span *span, size_t bytes) {
    struct arena *arena = arena_of(span->base);
    size_t pages = max_size(mheap_pages(bytes), pages_for(bytes + span_lead(span)));
    size_t first = arena_page(arena, span->base);
    bool done = pages <= PAGES_MOST;
    lock_acquire(&heap_lock);
    if (pages > span->pages) {
        done = done && grow_span_locked(arena, first + span->pages, pages - span->pages);
    } else if (pages < span->pages) {
        give_pages_locked(arena, first + pages, span->pages - pages, true);
        pages_in_use -= span->pages - pages;
        pages_large -= span->pages - pages;
    }
    if (done) {
        span->pages = (uint32_t)pages;
    }
    lock_release(&heap_lock);
    return done;
}

/* ---- giving back what is idle ---- */

size_t mheap_release(size_t keep, size_t calls) {
    size_t dirty = mheap_get_stats().free_dirty;
    return dirty > keep ? release(pages_for(dirty - keep), true, calls) << PAGE_SHIFT : 0;
}

size_t mheap_idle(void) {
    lock_acquire(&heap_lock);
    size_t idle = dirty_low;
    dirty_low = pages_dirty;
    in_use_high = pages_in_use;
    lock_release(&heap_lock);
    return idle << PAGE_SHIFT;
}

/* ---- statistics, fork, checks ---- */

__attribute__((no_sanitize("thread"))) size_t mheap_in_use(void) {
    return *(const volatile size_t *)&pages_in_use << PAGE_SHIFT;
}

__attribute__((no_sanitize("thread"))) size_t mheap_free_dirty(void) {
    return *(const volatile size_t *)&pages_dirty << PAGE_SHIFT;
}

size_t mheap_taken(void) {
    return atomic_load_explicit(&pages_taken, memory_order_relaxed);
}

struct mheap_stats mheap_get_stats(void) {
    struct mheap_stats stats = {0};
    lock_acquire(&heap_lock);
    stats.in_use = pages_in_use << PAGE_SHIFT;
    stats.large = (pages_large << PAGE_SHIFT) -
                  atomic_load_explicit(&lead_lines, memory_order_relaxed) * CACHE_LINE;
    stats.large_blocks = large_blocks;
    stats.free_dirty = pages_dirty << PAGE_SHIFT;
    for (unsigned i = 0; i < arena_count(); i++) {
        stats.mapped += arena_opened(&arenas[i]);
        stats.tables += arena_table_bytes(&arenas[i]);
    }
    stats.free_clean = stats.mapped - stats.in_use - stats.free_dirty;
    lock_release(&heap_lock);
    return stats;
}

/* What the thread that held the lock was allocating or freeing is lost or free; everything that can
 * be derived from the bitmaps is computed anew. */
void mheap_reset_in_child(void) {
    span_reset_in_child();
    pages_leaving = 0;
    if (!lock_reset_in_child(&heap_lock)) {
        return;
    }
    pages_in_use = pages_dirty = dirty_low = 0;
    for (unsigned i = 0; i < arena_count(); i++) {
        pagemap_rebuild(&arenas[i].pages);
        pages_dirty += pagemap_count(&arenas[i].pages, PAGES_DIRTY);
        pages_in_use += arena_opened(&arenas[i]) >> PAGE_SHIFT;
        pages_in_use -= pagemap_count(&arenas[i].pages, PAGES_FREE);
    }
    in_use_high = pages_in_use;
}

bool mheap_is_valid(void) {
    bool valid = true;
    size_t dirty = 0;
    lock_acquire(&heap_lock);
    for (unsigned i = 0; i < arena_count(); i++) {
        valid &= pagemap_is_valid(&arenas[i].pages);
        dirty += pagemap_count(&arenas[i].pages, PAGES_DIRTY);
    }
    valid &= dirty == pages_dirty && dirty_low <= dirty && in_use_high >= pages_in_use;
    lock_release(&heap_lock);
    return valid;
}
