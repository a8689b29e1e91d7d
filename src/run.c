/* Runs of free pages. See run.h and README.md. */
#include "run.h"

/* A growth step is an eighth of the heap within these bounds: few system calls for a large heap,
 * few opened pages for a small one. */
#define GROW_LEAST MIB
#define GROW_MOST (64 * MIB)

/* How many runs are looked at for one that an aligned block fits into. */
enum { ALIGNED_RUNS_MOST = 64 };

/* Where in the run at `page` an aligned one begins; align counts bytes. */
static size_t align_page(const struct arena *arena, size_t page, size_t align) {
    uintptr_t address = align_up(arena_address(arena, page), align);
    return arena_page(arena, address);
}

/* The pages to search for so that n aligned ones lie within. */
static size_t pages_with_slack(size_t n, size_t align) {
    return align <= PAGE_SIZE ? n : n + (align >> PAGE_SHIFT) - 1;
}

/* Of the last runs one that n aligned pages lie in. */
static size_t find_last_aligned(struct arena *arena, enum page_set set, size_t n, size_t align) {
    size_t below = SIZE_MAX, pages;
    for (unsigned i = 0; i < ALIGNED_RUNS_MOST && below > 0; i++) {
        below = pagemap_last_run(&arena->pages, set, below, &pages);
        if (below == PAGEMAP_NONE) {
            break;
        }
        size_t page = align_page(arena, below, align);
        if (page + n <= below + pages) {
            return page;
        }
    }
    return PAGEMAP_NONE;
}

/* The first run that is long enough often is where an aligned block of this size was; only if it is
 * not does the search count on the worst. */
static size_t find_aligned(struct arena *arena, enum page_set set, size_t n, size_t align) {
    size_t page = pagemap_find(&arena->pages, set, n);
    if (page == PAGEMAP_NONE || align_page(arena, page, align) == page) {
        return page;
    }
    page = pagemap_find(&arena->pages, set, pages_with_slack(n, align));
    return page == PAGEMAP_NONE ? find_last_aligned(arena, set, n, align)
                                : align_page(arena, page, align);
}

static bool take_from(struct arena *arena, enum page_set set, size_t least, size_t most,
                      size_t align, struct run *out) {
    size_t page = find_aligned(arena, set, least, align), n = least;
    if (page == PAGEMAP_NONE) {
        return false;
    }
    if (most > least) {
        n = (uint32_t)pagemap_run_at(&arena->pages, set, page, most) / (uint32_t)least * least;
    }
    *out = (struct run){arena, page, n, pagemap_take(&arena->pages, page, n)};
    return true;
}

bool run_take(enum page_set set, size_t least, size_t most, size_t align, struct run *out) {
    for (unsigned i = 0; i < arena_count(); i++) {
        if (take_from(&arenas[i], set, least, most, align, out)) {
            return true;
        }
    }
    return false;
}

/* Takes [page, end), which are free up to the frontier, and new behind it. The bits of new pages
 * that are taken say so already: of those of a block of gigabytes none is touched. */
static bool take_beyond(struct arena *arena, size_t page, size_t end, size_t *dirty) {
    size_t frontier = arena_opened(arena) >> PAGE_SHIFT;
    size_t need = align_up((end - frontier) << PAGE_SHIFT, ARENA_GRAIN);
    size_t step = min_size(max_size(arena_opened(arena) / 8, GROW_LEAST), GROW_MOST);
    if (!arena_grow(arena, need, align_down(step, ARENA_GRAIN))) {
        return false;
    }
    size_t opened = arena_opened(arena) >> PAGE_SHIFT;
    *dirty = page < frontier ? pagemap_take(&arena->pages, page, frontier - page) : 0;
    if (page > frontier) {
        pagemap_give(&arena->pages, frontier, page - frontier, false);
    }
    if (end < opened) {
        pagemap_give(&arena->pages, end, opened - end, false);
    }
    return true;
}

/* The free pages at the frontier are a part of the run. */
static bool take_new_from(struct arena *arena, size_t n, size_t align, struct run *out) {
    size_t frontier = arena_opened(arena) >> PAGE_SHIFT;
    size_t tail = pagemap_run_before(&arena->pages, PAGES_FREE, frontier, n - 1);
    size_t page = align_page(arena, frontier - tail, align);
    *out = (struct run){arena, page, n, 0};
    return take_beyond(arena, page, page + n, &out->dirty);
}

static bool take_new(size_t n, size_t align, struct run *out) {
    unsigned count = arena_count();
    if (count > 0 && take_new_from(&arenas[count - 1], n, align, out)) {
        return true;
    }
    if (!arena_add(pages_with_slack(n, align) << PAGE_SHIFT)) {
        return false;
    }
    if (take_new_from(&arenas[count], n, align, out)) {
        return true;
    }
    arena_remove_last();
    return false;
}

bool run_take_any(size_t least, size_t most, size_t align, struct run *out) {
    return run_take(PAGES_DIRTY, least, most, align, out) ||
           run_take(PAGES_FREE, least, most, align, out) || take_new(most, align, out);
}

bool run_take_at(struct arena *arena, size_t page, size_t extra, struct run *out) {
    size_t frontier = arena_opened(arena) >> PAGE_SHIFT;
    if (!pagemap_is_free(&arena->pages, page, min_size(extra, frontier - page))) {
        return false;
    }
    *out = (struct run){arena, page, extra, 0};
    if (page + extra > frontier) {
        return take_beyond(arena, page, page + extra, &out->dirty);
    }
    out->dirty = pagemap_take(&arena->pages, page, extra);
    return true;
}
