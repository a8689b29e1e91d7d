/*
 * The page bitmaps and their summaries against a model of one byte a page. Heaps of one chunk, of
 * nine, of seventy and of six hundred use one, two, four and all five levels.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "pagemap.h"

enum { USED, CLEAN, DIRTY }; /* a page of the model */

struct model {
    struct pagemap map;
    unsigned char *pages;
    size_t count;
    uint64_t seed;
};

static void create(struct model *model, size_t chunks, size_t most_chunks) {
    memset(model, 0, sizeof *model);
    model->map.chunks = calloc(most_chunks, sizeof(struct page_chunk));
    for (unsigned level = 0; level < PAGEMAP_LEVELS; level++) {
        size_t entries = pagemap_level_entries(most_chunks, level);
        model->map.level[level] = calloc(entries, sizeof(struct page_summary));
    }
    model->pages = calloc(most_chunks, CHUNK_PAGES);
    model->count = chunks * CHUNK_PAGES;
    model->seed = chunks;
    pagemap_extend(&model->map, chunks);
}

static void destroy(struct model *model) {
    free(model->map.chunks);
    for (unsigned level = 0; level < PAGEMAP_LEVELS; level++) {
        free(model->map.level[level]);
    }
    free(model->pages);
}

static bool in_set(const struct model *model, enum page_set set, size_t page) {
    return set == PAGES_DIRTY ? model->pages[page] == DIRTY : model->pages[page] != USED;
}

/* ---- what the model says ---- */

static size_t run_length(const struct model *model, enum page_set set, size_t page, size_t most) {
    size_t n = 0;
    while (n < most && page + n < model->count && in_set(model, set, page + n)) {
        n++;
    }
    return n;
}

static size_t naive_find(const struct model *model, enum page_set set, size_t n) {
    for (size_t page = 0; page + n <= model->count;) {
        size_t run = run_length(model, set, page, n);
        if (run == n) {
            return page;
        }
        page += run + 1;
    }
    return PAGEMAP_NONE;
}

static size_t naive_run_before(const struct model *model, enum page_set set, size_t page,
                               size_t most) {
    size_t n = 0;
    while (n < most && n < page && in_set(model, set, page - 1 - n)) {
        n++;
    }
    return n;
}

static size_t naive_last_run(const struct model *model, enum page_set set, size_t below,
                             size_t *n) {
    while (below > 0 && !in_set(model, set, below - 1)) {
        below--;
    }
    *n = naive_run_before(model, set, below, SIZE_MAX);
    return *n > 0 ? below - *n : PAGEMAP_NONE;
}

/* ---- comparisons ---- */

/* Mostly short runs, at times ones over many chunks. */
static size_t random_length(struct model *model) {
    size_t most = (size_t)1 << random_below(&model->seed, 13);
    return 1 + random_below(&model->seed, min_size(most, model->count));
}

static void compare_searches(struct model *model) {
    enum page_set set = random_below(&model->seed, PAGE_SETS) == 0 ? PAGES_FREE : PAGES_DIRTY;
    size_t n = random_length(model), page = random_below(&model->seed, model->count);
    size_t most = random_length(model), want_n, got_n;
    assert_int_equal(pagemap_find(&model->map, set, n), naive_find(model, set, n));
    assert_int_equal(pagemap_run_before(&model->map, set, page, most),
                     naive_run_before(model, set, page, most));
    assert_int_equal(pagemap_run_at(&model->map, set, page, most),
                     run_length(model, set, page, most));
    size_t want = naive_last_run(model, set, page, &want_n);
    assert_int_equal(pagemap_last_run(&model->map, set, page, &got_n), want);
    assert_int_equal(got_n, want_n);
    bool free = run_length(model, PAGES_FREE, page, n) == n;
    assert_int_equal(pagemap_is_free(&model->map, page, n), free);
}

static void compare_set(const struct model *model, enum page_set set) {
    size_t count = 0;
    for (size_t page = 0; page < model->count; page++) {
        const uint64_t *words = model->map.chunks[page / CHUNK_PAGES].bits[set];
        bool bit = words[page % CHUNK_PAGES / WORD_BITS] >> page % WORD_BITS & 1;
        if (bit != in_set(model, set, page)) {
            fail_msg("page %zu, set %d: %d", page, set, bit);
        }
        count += bit;
    }
    assert_int_equal(pagemap_count(&model->map, set), count);
}

static void compare_all(const struct model *model) {
    compare_set(model, PAGES_FREE);
    compare_set(model, PAGES_DIRTY);
    assert_true(pagemap_is_valid(&model->map));
}

/* ---- steps ---- */

static void take(struct model *model, size_t page, size_t n) {
    size_t dirty = 0;
    for (size_t i = 0; i < n; i++) {
        dirty += model->pages[page + i] == DIRTY;
    }
    assert_int_equal(pagemap_take(&model->map, page, n), dirty);
    memset(model->pages + page, USED, n);
}

/* The page and as many used ones behind it, up to n. */
static void give_some(struct model *model, size_t page, size_t n) {
    bool dirty = random_below(&model->seed, 2) == 0;
    size_t used = 0;
    while (used < n && page + used < model->count && model->pages[page + used] == USED) {
        used++;
    }
    if (used > 0) {
        pagemap_give(&model->map, page, used, dirty);
        memset(model->pages + page, dirty ? DIRTY : CLEAN, used);
    }
}

static void step(struct model *model) {
    size_t n = random_length(model);
    if (random_below(&model->seed, 2) == 0) {
        give_some(model, random_below(&model->seed, model->count), n);
        return;
    }
    size_t page = pagemap_find(&model->map, PAGES_FREE, n);
    if (page != PAGEMAP_NONE) {
        take(model, page, n);
    }
}

static void walk(struct model *model, unsigned steps, unsigned steps_between_checks) {
    for (unsigned i = 0; i < steps; i++) {
        step(model);
        compare_searches(model);
        if (i % steps_between_checks == 0) {
            assert_true(pagemap_is_valid(&model->map));
        }
    }
    compare_all(model);
}

static void run_walk(size_t chunks, unsigned top, unsigned steps, unsigned steps_between_checks) {
    struct model model;
    create(&model, chunks, chunks);
    assert_int_equal(model.map.top, top);
    walk(&model, steps, steps_between_checks);
    destroy(&model);
}

static void one_chunk(void **state) {
    (void)state;
    run_walk(1, 0, 10000, 1);
}

static void sixteen_chunks(void **state) {
    (void)state;
    run_walk(16, 0, 5000, 1);
}

static void seventeen_chunks(void **state) {
    (void)state;
    run_walk(17, 1, 5000, 1);
}

static void two_hundred_chunks(void **state) {
    (void)state;
    run_walk(200, 2, 1000, 1);
}

/* More than the levels are for: the highest has many entries. */
static void nine_thousand_chunks(void **state) {
    (void)state;
    run_walk(9000, 3, 60, 20);
}

/* Those of many chunks, in which runs that are gone have left bounds behind. */
static void long_runs(void **state) {
    enum { PIECE = 300, FIRST = 100 };
    struct model model;
    (void)state;
    create(&model, 200, 200);
    for (unsigned dirty = 0; dirty < 2; dirty++) {
        size_t n = model.count - 2 * FIRST;
        pagemap_give(&model.map, 0, model.count, true);
        memset(model.pages, DIRTY, model.count);
        for (size_t page = 0; page < model.count; page += PIECE) {
            take(&model, page, min_size(PIECE, model.count - page));
        }
        assert_true(pagemap_is_valid(&model.map));
        pagemap_give(&model.map, FIRST, n, dirty == 1);
        memset(model.pages + FIRST, dirty == 1 ? DIRTY : CLEAN, n);
        compare_all(&model);
        assert_int_equal(pagemap_find(&model.map, PAGES_FREE, n), FIRST);
        take(&model, FIRST, n);
        compare_all(&model);
    }
    destroy(&model);
}

static void extending(void **state) {
    static const size_t sizes[] = {2, 3, 8, 16, 17, 70, 128, 129, 200};
    struct model model;
    (void)state;
    create(&model, 1, 200);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        walk(&model, 200, 1);
        pagemap_extend(&model.map, sizes[i]);
        size_t old = model.count;
        model.count = sizes[i] * CHUNK_PAGES;
        compare_all(&model);
        pagemap_give(&model.map, old, model.count - old, false);
        memset(model.pages + old, CLEAN, model.count - old);
        compare_all(&model);
    }
    destroy(&model);
}

/* The lowest run of all, wherever it lies across words, chunks and entries. */
static void first_fit_across_borders(void **state) {
    static const size_t borders[] = {64, 512, 8 * 512, 64 * 512, 128 * 512};
    static const size_t lengths[] = {2, 63, 64, 65, 511, 513, 1024, 5000};
    struct model model;
    (void)state;
    create(&model, 200, 200);
    for (size_t b = 0; b < COUNT_OF(borders); b++) {
        for (size_t l = 0; l < COUNT_OF(lengths); l++) {
            size_t n = lengths[l], page = borders[b] - min_size(n / 2, borders[b]);
            n = min_size(n, model.count - page);
            pagemap_give(&model.map, page, n, true);
            assert_int_equal(pagemap_find(&model.map, PAGES_DIRTY, n), page);
            assert_int_equal(pagemap_find(&model.map, PAGES_FREE, n), page);
            assert_int_equal(pagemap_find(&model.map, PAGES_FREE, n + 1), PAGEMAP_NONE);
            assert_true(pagemap_is_valid(&model.map));
            assert_int_equal(pagemap_take(&model.map, page, n), n);
        }
    }
    destroy(&model);
}

/* After a fork in the middle of an update: summaries wrong, pages dirty but not free. */
static void rebuilding(void **state) {
    struct model model;
    (void)state;
    create(&model, 200, 200);
    walk(&model, 500, 100);
    for (size_t page = 0; page < model.count; page += 77) {
        if (model.pages[page] == USED) {
            uint64_t *words = model.map.chunks[page / CHUNK_PAGES].bits[PAGES_DIRTY];
            words[page % CHUNK_PAGES / WORD_BITS] |= UINT64_C(1) << page % WORD_BITS;
        }
    }
    for (unsigned level = 0; level <= model.map.top; level++) {
        memset(&model.map.level[level][0], 0x11, sizeof(struct page_summary));
    }
    assert_false(pagemap_is_valid(&model.map));
    pagemap_rebuild(&model.map);
    compare_all(&model);
    walk(&model, 500, 100);
    destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_chunk),
        cmocka_unit_test(sixteen_chunks),
        cmocka_unit_test(seventeen_chunks),
        cmocka_unit_test(two_hundred_chunks),
        cmocka_unit_test(nine_thousand_chunks),
        cmocka_unit_test(long_runs),
        cmocka_unit_test(extending),
        cmocka_unit_test(first_fit_across_borders),
        cmocka_unit_test(rebuilding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
