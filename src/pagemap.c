/*
 * Bitmaps of free pages with radix summaries. See pagemap.h and README.md.
 *
 * The order of the stores in take and give matters to a fork that comes in between: a page may be
 * lost to both sets, but never be free without being dirty when its contents are not zero.
 */
#include "pagemap.h"

#include <stdatomic.h>
#include <string.h>

size_t pagemap_level_entries(size_t chunks, unsigned level) {
    size_t entries = chunks;
    for (unsigned i = 0; i < level; i++) {
        entries = (entries + PAGEMAP_FANOUT - 1) / PAGEMAP_FANOUT;
    }
    return entries;
}

/* The pages that one entry of a level stands for. */
static size_t level_pages(unsigned level) {
    return (size_t)CHUNK_PAGES << (3 * level);
}

/* ---- summaries ---- */

static struct page_runs summarize_words(const uint64_t *words) {
    struct page_runs runs = {0, 0, 0};
    uint32_t current = 0; /* the run that reaches the current word from below */
    bool at_start = true;
    for (unsigned i = 0; i < CHUNK_WORDS; i++) {
        uint64_t word = words[i];
        if (~word == 0) {
            current += WORD_BITS;
            continue;
        }
        unsigned low = bits_trailing_ones(word), high = bits_leading_ones(word);
        current += low;
        runs.start = at_start ? current : runs.start;
        at_start = false;
        runs.longest = current > runs.longest ? current : runs.longest;
        if (word != 0 && low + high + 2 + runs.longest < WORD_BITS) { /* room for a longer one */
            runs.longest = bits_longest_run(word, runs.longest);
        }
        current = high;
    }
    runs.start = at_start ? current : runs.start;
    runs.longest = current > runs.longest ? current : runs.longest;
    runs.end = current;
    return runs;
}

static struct page_summary summarize_chunk(const struct page_chunk *chunk) {
    struct page_summary summary;
    for (unsigned set = 0; set < PAGE_SETS; set++) {
        summary.set[set] = summarize_words(chunk->bits[set]);
    }
    return summary;
}

static struct page_runs merge_runs(const struct page_summary *child, size_t children, unsigned set,
                                   uint32_t child_pages) {
    struct page_runs runs = {0, 0, 0};
    uint32_t current = 0;
    for (size_t i = 0; i < children; i++) {
        const struct page_runs *part = &child[i].set[set];
        if (runs.start == i * child_pages) {
            runs.start += part->start;
        }
        uint32_t joined = current + part->start;
        runs.longest = joined > runs.longest ? joined : runs.longest;
        runs.longest = part->longest > runs.longest ? part->longest : runs.longest;
        current = part->end == child_pages ? current + child_pages : part->end;
    }
    runs.end = children == PAGEMAP_FANOUT ? current : 0;
    return runs;
}

static struct page_summary summarize_children(const struct pagemap *map, unsigned level,
                                              size_t entry) {
    size_t first = entry * PAGEMAP_FANOUT;
    size_t count = pagemap_level_entries(map->chunk_count, level - 1) - first;
    size_t children = min_size(count, PAGEMAP_FANOUT);
    struct page_summary summary;
    for (unsigned set = 0; set < PAGE_SETS; set++) {
        summary.set[set] = merge_runs(&map->level[level - 1][first], children, set,
                                      (uint32_t)level_pages(level - 1));
    }
    return summary;
}

static bool store_summary(struct page_summary *where, struct page_summary now) {
    if (memcmp(where, &now, sizeof now) == 0) {
        return false;
    }
    *where = now;
    return true;
}

/* An entry whose pages are all alike: as one of its children, but longer. */
static struct page_summary summarize_alike(const struct page_summary *child) {
    struct page_summary summary;
    for (unsigned set = 0; set < PAGE_SETS; set++) {
        uint32_t run = child->set[set].start * PAGEMAP_FANOUT;
        summary.set[set] = (struct page_runs){run, run, run};
    }
    return summary;
}

/* After the summaries of chunks [first, last] changed: upwards until a level does not change. Those
 * between the first and the last have become all free or all used. */
static void update_upper(struct pagemap *map, size_t first, size_t last) {
    bool changed = true;
    for (unsigned level = 1; level <= map->top && changed; level++) {
        first /= PAGEMAP_FANOUT;
        last /= PAGEMAP_FANOUT;
        changed = false;
        for (size_t i = first; i <= last; i++) {
            const struct page_summary *child = &map->level[level - 1][i * PAGEMAP_FANOUT];
            struct page_summary now =
                i > first && i < last ? summarize_alike(child) : summarize_children(map, level, i);
            changed |= store_summary(&map->level[level][i], now);
        }
    }
}

static void rebuild_upper(struct pagemap *map, unsigned from) {
    for (unsigned level = from; level <= map->top; level++) {
        size_t entries = pagemap_level_entries(map->chunk_count, level);
        for (size_t i = 0; i < entries; i++) {
            map->level[level][i] = summarize_children(map, level, i);
        }
    }
}

void pagemap_extend(struct pagemap *map, size_t chunk_count) {
    unsigned old_top = map->top;
    for (size_t i = map->chunk_count; i < chunk_count; i++) {
        map->level[0][i] = (struct page_summary){0}; /* to be read first, it would fault twice */
    }
    map->chunk_count = chunk_count;
    while (map->top < PAGEMAP_LEVELS - 1 &&
           pagemap_level_entries(chunk_count, map->top) > PAGEMAP_TOP_MOST) {
        map->top++;
    }
    rebuild_upper(map, old_top + 1);
}

void pagemap_rebuild(struct pagemap *map) {
    for (size_t i = 0; i < map->chunk_count; i++) {
        struct page_chunk *chunk = &map->chunks[i];
        for (unsigned w = 0; w < CHUNK_WORDS; w++) {
            chunk->bits[PAGES_DIRTY][w] &= chunk->bits[PAGES_FREE][w];
        }
        map->level[0][i] = summarize_chunk(chunk);
    }
    rebuild_upper(map, 1);
}

/* ---- search ---- */

/* The lowest run of n pages that lies inside one chunk. */
static size_t find_in_chunk(const uint64_t *words, size_t n) {
    size_t run = 0; /* pages that end at the current word's bottom */
    for (unsigned i = 0; i < CHUNK_WORDS; i++) {
        unsigned low = bits_trailing_ones(words[i]);
        if (run + low >= n) {
            return (size_t)i * WORD_BITS - run;
        }
        if (low == WORD_BITS) {
            run += WORD_BITS;
            continue;
        }
        unsigned inside = n <= WORD_BITS ? bits_find_run(words[i], (unsigned)n) : WORD_BITS;
        if (inside < WORD_BITS) {
            return (size_t)i * WORD_BITS + inside;
        }
        run = bits_leading_ones(words[i]);
    }
    return PAGEMAP_NONE;
}

/* Looks through entries [first, end) of a level for the lowest run of n pages. Either it is found
 * where entries meet: *inside is false and the run's first page is returned. Or it lies inside one
 * entry: *inside is true and the entry is returned. */
static size_t find_in_level(const struct pagemap *map, unsigned level, size_t first, size_t end,
                            enum page_set set, size_t n, bool *inside) {
    size_t pages = level_pages(level);
    size_t run = 0;
    for (size_t i = first; i < end; i++) {
        const struct page_runs *runs = &map->level[level][i].set[set];
        *inside = false;
        if (run + runs->start >= n) {
            return i * pages - run;
        }
        if (runs->longest >= n) {
            *inside = true;
            return i;
        }
        run = runs->end == pages ? run + pages : runs->end;
    }
    return PAGEMAP_NONE;
}

/* The chunk that has a run of n pages inside, if the summaries are right about it; else as
 * find_in_level. */
static size_t descend(const struct pagemap *map, enum page_set set, size_t n, bool *inside) {
    size_t first = 0, end = pagemap_level_entries(map->chunk_count, map->top);
    for (unsigned level = map->top;; level--) {
        size_t found = find_in_level(map, level, first, end, set, n, inside);
        if (found == PAGEMAP_NONE || !*inside || level == 0) {
            return found;
        }
        first = found * PAGEMAP_FANOUT;
        end = min_size(first + PAGEMAP_FANOUT, pagemap_level_entries(map->chunk_count, level - 1));
    }
}

size_t pagemap_find(struct pagemap *map, enum page_set set, size_t n) {
    for (;;) {
        bool inside = false;
        size_t found = descend(map, set, n, &inside);
        if (found == PAGEMAP_NONE || !inside) {
            return found;
        }
        size_t page = find_in_chunk(map->chunks[found].bits[set], n);
        if (page != PAGEMAP_NONE) {
            return found * CHUNK_PAGES + page;
        }
        map->level[0][found].set[set] = summarize_words(map->chunks[found].bits[set]);
        update_upper(map, found, found);
    }
}

/* ---- changes ---- */

struct page_word {
    struct page_chunk *chunk;
    unsigned word;
    uint64_t mask;
    size_t pages;
};

/* The part of [page, page + n) that lies in page's word. */
static struct page_word word_at(const struct pagemap *map, size_t page, size_t n) {
    unsigned bit = page % WORD_BITS;
    size_t pages = min_size(WORD_BITS - bit, n);
    struct page_word part = {
        .chunk = &map->chunks[page / CHUNK_PAGES],
        .word = (unsigned)(page % CHUNK_PAGES / WORD_BITS),
        .mask = bits_mask(bit, (unsigned)pages),
        .pages = pages,
    };
    return part;
}

/* The ones that end just below a page of a chunk, and those that begin at it. */
static unsigned run_below(const uint64_t *words, unsigned page) {
    unsigned run = 0;
    while (run < page) {
        unsigned last = page - run - 1, above = WORD_BITS - 1 - last % WORD_BITS;
        unsigned ones = bits_leading_ones(words[last / WORD_BITS] << above);
        run += ones;
        if (ones < WORD_BITS - above) {
            break;
        }
    }
    return run;
}

static unsigned run_from(const uint64_t *words, unsigned page) {
    unsigned run = 0;
    while (page + run < CHUNK_PAGES) {
        unsigned bit = (page + run) % WORD_BITS;
        unsigned ones = bits_trailing_ones(words[(page + run) / WORD_BITS] >> bit);
        run += ones;
        if (ones < WORD_BITS - bit) {
            break;
        }
    }
    return run;
}

size_t pagemap_run_before(const struct pagemap *map, enum page_set set, size_t page, size_t most) {
    size_t run = 0;
    while (run < most && run < page) {
        size_t last = page - run - 1;
        unsigned in_chunk = last % CHUNK_PAGES + 1;
        unsigned ones = run_below(map->chunks[last / CHUNK_PAGES].bits[set], in_chunk);
        run += ones;
        if (ones < in_chunk) {
            break;
        }
    }
    return min_size(run, most);
}

size_t pagemap_run_at(const struct pagemap *map, enum page_set set, size_t page, size_t most) {
    size_t run = 0;
    while (run < most && (page + run) / CHUNK_PAGES < map->chunk_count) {
        size_t next = page + run, in_chunk = next % CHUNK_PAGES;
        unsigned ones = run_from(map->chunks[next / CHUNK_PAGES].bits[set], (unsigned)in_chunk);
        run += ones;
        if (in_chunk + ones < CHUNK_PAGES) {
            break;
        }
    }
    return min_size(run, most);
}

bool pagemap_is_free(const struct pagemap *map, size_t page, size_t n) {
    return pagemap_run_at(map, PAGES_FREE, page, n) == n;
}

size_t pagemap_last_run(const struct pagemap *map, enum page_set set, size_t below, size_t *n) {
    for (size_t end = min_size(below, map->chunk_count * CHUNK_PAGES); end > 0;) {
        size_t last = end - 1, chunk = last / CHUNK_PAGES;
        if (map->level[0][chunk].set[set].longest == 0) {
            end = chunk * CHUNK_PAGES;
            continue;
        }
        unsigned above = WORD_BITS - 1 - last % WORD_BITS;
        uint64_t word = map->chunks[chunk].bits[set][last % CHUNK_PAGES / WORD_BITS];
        if (word << above != 0) {
            end -= (unsigned)__builtin_clzll(word << above);
            *n = pagemap_run_before(map, set, end, SIZE_MAX);
            return end - *n;
        }
        end -= WORD_BITS - above;
    }
    *n = 0;
    return PAGEMAP_NONE;
}

/*
 * The two changes keep a chunk's runs at its start and end exact. Its longest run is made longer by
 * pages that join it, but not shorter by those that leave: it is a bound, and pagemap_find makes it
 * exact where it was misled. So most changes touch nothing above the bits.
 */
static void runs_without(struct page_runs *runs, uint32_t first, uint32_t end) {
    runs->start = first < runs->start ? first : runs->start;
    runs->end = CHUNK_PAGES - end < runs->end ? CHUNK_PAGES - end : runs->end;
}

static void runs_with(struct page_runs *runs, const uint64_t *words, uint32_t first, uint32_t end) {
    uint32_t low = first - run_below(words, first), high = end + run_from(words, end);
    runs->start = low == 0 ? high : runs->start;
    runs->end = high == CHUNK_PAGES ? high - low : runs->end;
    runs->longest = high - low > runs->longest ? high - low : runs->longest;
}

static size_t count_bits(const uint64_t *words) {
    size_t count = 0;
    for (unsigned w = 0; w < CHUNK_WORDS; w++) {
        count += bits_count(words[w]);
    }
    return count;
}

static void fill_chunk(struct pagemap *map, size_t index, enum page_set set, bool value) {
    uint32_t run = value ? CHUNK_PAGES : 0;
    memset(map->chunks[index].bits[set], value ? 0xff : 0, CHUNK_PAGES / 8);
    map->level[0][index].set[set] = (struct page_runs){run, run, run};
}

/* A block of gigabytes is hundreds of whole chunks, which are of one kind mostly. */
static size_t take_chunk(struct pagemap *map, size_t index) {
    const struct page_runs *runs = &map->level[0][index].set[PAGES_DIRTY];
    bool uniform = runs->longest == 0 || runs->start == CHUNK_PAGES;
    size_t dirty = uniform ? runs->start : count_bits(map->chunks[index].bits[PAGES_DIRTY]);
    fill_chunk(map, index, PAGES_FREE, false);
    atomic_signal_fence(memory_order_seq_cst);
    if (runs->longest > 0) {
        fill_chunk(map, index, PAGES_DIRTY, false);
    }
    return dirty;
}

static void give_chunk(struct pagemap *map, size_t index, bool dirty) {
    fill_chunk(map, index, PAGES_DIRTY, dirty);
    atomic_signal_fence(memory_order_seq_cst);
    fill_chunk(map, index, PAGES_FREE, true);
}

/* Clears the bits of pages of one chunk; returns how many were dirty. */
static size_t clear_pages(const struct pagemap *map, size_t page, size_t n) {
    size_t dirty = 0;
    while (n > 0) {
        struct page_word part = word_at(map, page, n);
        uint64_t *was_dirty = &part.chunk->bits[PAGES_DIRTY][part.word];
        uint64_t both = *was_dirty & part.mask;
        dirty += both == 0 ? 0 : both == part.mask ? part.pages : bits_count(both);
        part.chunk->bits[PAGES_FREE][part.word] &= ~part.mask;
        atomic_signal_fence(memory_order_seq_cst);
        *was_dirty &= ~part.mask;
        page += part.pages;
        n -= part.pages;
    }
    return dirty;
}

static void set_pages(const struct pagemap *map, size_t page, size_t n, bool dirty) {
    while (n > 0) {
        struct page_word part = word_at(map, page, n);
        if (dirty) {
            part.chunk->bits[PAGES_DIRTY][part.word] |= part.mask;
        }
        atomic_signal_fence(memory_order_seq_cst);
        part.chunk->bits[PAGES_FREE][part.word] |= part.mask;
        page += part.pages;
        n -= part.pages;
    }
}

static size_t take_in_chunk(struct pagemap *map, size_t page, size_t n, bool *changed) {
    if (n == CHUNK_PAGES) {
        *changed = true;
        return take_chunk(map, page / CHUNK_PAGES);
    }
    struct page_summary *where = &map->level[0][page / CHUNK_PAGES], now = *where;
    uint32_t first = page % CHUNK_PAGES, end = first + (uint32_t)n;
    size_t dirty = clear_pages(map, page, n);
    for (unsigned set = 0; set < PAGE_SETS; set++) {
        runs_without(&now.set[set], first, end);
    }
    *changed |= store_summary(where, now);
    return dirty;
}

static void give_in_chunk(struct pagemap *map, size_t page, size_t n, bool dirty, bool *changed) {
    if (n == CHUNK_PAGES) {
        *changed = true;
        give_chunk(map, page / CHUNK_PAGES, dirty);
        return;
    }
    struct page_summary *where = &map->level[0][page / CHUNK_PAGES], now = *where;
    const struct page_chunk *chunk = &map->chunks[page / CHUNK_PAGES];
    uint32_t first = page % CHUNK_PAGES, end = first + (uint32_t)n;
    set_pages(map, page, n, dirty);
    runs_with(&now.set[PAGES_FREE], chunk->bits[PAGES_FREE], first, end);
    if (dirty) {
        runs_with(&now.set[PAGES_DIRTY], chunk->bits[PAGES_DIRTY], first, end);
    }
    *changed |= store_summary(where, now);
}

size_t pagemap_take(struct pagemap *map, size_t page, size_t n) {
    size_t first = page / CHUNK_PAGES, last = (page + n - 1) / CHUNK_PAGES, dirty = 0;
    bool changed = false;
    while (n > 0) {
        size_t part = min_size(n, CHUNK_PAGES - page % CHUNK_PAGES);
        dirty += take_in_chunk(map, page, part, &changed);
        page += part;
        n -= part;
    }
    if (changed) {
        update_upper(map, first, last);
    }
    return dirty;
}

void pagemap_give(struct pagemap *map, size_t page, size_t n, bool dirty) {
    size_t first = page / CHUNK_PAGES, last = (page + n - 1) / CHUNK_PAGES;
    bool changed = false;
    while (n > 0) {
        size_t part = min_size(n, CHUNK_PAGES - page % CHUNK_PAGES);
        give_in_chunk(map, page, part, dirty, &changed);
        page += part;
        n -= part;
    }
    if (changed) {
        update_upper(map, first, last);
    }
}

size_t pagemap_count(const struct pagemap *map, enum page_set set) {
    size_t pages = 0;
    for (size_t i = 0; i < map->chunk_count; i++) {
        pages += count_bits(map->chunks[i].bits[set]);
    }
    return pages;
}

/* Exact at the borders of the chunk, a bound on the longest. */
static bool runs_are_valid(const struct page_runs *runs, const uint64_t *words) {
    struct page_runs exact = summarize_words(words);
    return runs->start == exact.start && runs->end == exact.end && runs->longest >= exact.longest &&
           runs->longest <= CHUNK_PAGES;
}

bool pagemap_is_valid(const struct pagemap *map) {
    for (size_t i = 0; i < map->chunk_count; i++) {
        for (unsigned set = 0; set < PAGE_SETS; set++) {
            if (!runs_are_valid(&map->level[0][i].set[set], map->chunks[i].bits[set])) {
                return false;
            }
        }
    }
    for (unsigned level = 1; level <= map->top; level++) {
        for (size_t i = 0; i < pagemap_level_entries(map->chunk_count, level); i++) {
            struct page_summary summary = summarize_children(map, level, i);
            if (memcmp(&summary, &map->level[level][i], sizeof summary) != 0) {
                return false;
            }
        }
    }
    return true;
}
