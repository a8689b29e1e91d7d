/*
 * The page bitmaps with their summaries against two plain arrays of flags: every change, every
 * search and every count.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "pagemap.h"

enum { CHUNKS = 20, PAGES = CHUNKS * CHUNK_PAGES };

static struct page_chunk chunks[CHUNKS];
static struct page_summary levels[PAGEMAP_LEVELS][CHUNKS];
static struct pagemap map;
static bool model[PAGE_SETS][PAGES];
static size_t pages; /* that the map has so far */

static void start(void) {
    memset(chunks, 0, sizeof chunks);
    memset(levels, 0, sizeof levels);
    memset(model, 0, sizeof model);
    map = (struct pagemap){.chunks = chunks};
    for (unsigned i = 0; i < PAGEMAP_LEVELS; i++) {
        map.level[i] = levels[i];
    }
    pages = 0;
}

static void extend(size_t more) {
    size_t count = pages / CHUNK_PAGES + more;
    if (count <= CHUNKS) {
        pagemap_extend(&map, count);
        pages = count * CHUNK_PAGES;
    }
}

static size_t run_at(const bool *set, size_t page) {
    size_t n = 0;
    while (page + n < pages && set[page + n]) {
        n++;
    }
    return n;
}

static size_t find(const bool *set, size_t n) {
    for (size_t page = 0; page < pages; page++) {
        size_t run = run_at(set, page);
        if (run >= n) {
            return page;
        }
        page += run;
    }
    return PAGEMAP_NONE;
}

static size_t count(const bool *set, size_t page, size_t n) {
    size_t ones = 0;
    for (size_t i = page; i < page + n; i++) {
        ones += set[i];
    }
    return ones;
}

/* The longest run at `page` that is all in use, or all free, up to n. */
static size_t uniform(size_t page, size_t n) {
    size_t length = 0;
    while (length < n && page + length < pages &&
           model[PAGES_FREE][page + length] == model[PAGES_FREE][page]) {
        length++;
    }
    return length;
}

static void set_model(enum page_set set, size_t page, size_t n, bool value) {
    memset(&model[set][page], value, n);
}

static void take_pages(size_t page, size_t n) {
    size_t dirty = count(model[PAGES_DIRTY], page, n);
    REQUIRE(pagemap_is_free(&map, page, n));
    REQUIRE(pagemap_take(&map, page, n) == dirty);
    set_model(PAGES_FREE, page, n, false);
    set_model(PAGES_DIRTY, page, n, false);
}

static void give_pages(size_t page, size_t n, bool dirty) {
    REQUIRE(!pagemap_is_free(&map, page, n));
    pagemap_give(&map, page, n, dirty);
    set_model(PAGES_FREE, page, n, true);
    set_model(PAGES_DIRTY, page, n, dirty);
}

/* In use becomes free and the other way round. */
static void flip(size_t page, size_t n, bool dirty) {
    n = uniform(page, n);
    if (n > 0 && model[PAGES_FREE][page]) {
        take_pages(page, n);
    } else if (n > 0) {
        give_pages(page, n, dirty);
    }
}

static void search(enum page_set set, size_t n, bool take_it) {
    size_t page = pagemap_find(&map, set, n);
    REQUIRE(page == find(model[set], n));
    if (page != PAGEMAP_NONE && take_it) {
        take_pages(page, n);
    }
}

static void look_back(enum page_set set, size_t page, size_t most) {
    size_t n = 0, run = 0, end = page;
    while (run < most && run < page && model[set][page - run - 1]) {
        run++;
    }
    REQUIRE(pagemap_run_before(&map, set, page, most) == run);
    while (end > 0 && !model[set][end - 1]) {
        end--;
    }
    size_t first = end;
    while (first > 0 && model[set][first - 1]) {
        first--;
    }
    size_t found = pagemap_last_run(&map, set, page, &n);
    REQUIRE(found == (end > 0 ? first : PAGEMAP_NONE) && n == end - first);
}

static void step(struct input *input) {
    size_t kind = take(input, 1), page = take(input, 2) % pages;
    size_t n = kind & 64 ? take(input, 2) % 2048 + 1 : take(input, 1) + 1;
    enum page_set set = kind & 128 ? PAGES_DIRTY : PAGES_FREE;
    switch (kind % 8) {
    case 0:
        search(set, n, true);
        break;
    case 1:
        search(set, n, false);
        break;
    case 2:
        look_back(set, page, n);
        break;
    case 3:
        REQUIRE(pagemap_is_free(&map, page, n) ==
                (page + n <= pages && count(model[PAGES_FREE], page, n) == n));
        break;
    case 4:
        extend(n % 3);
        break;
    case 5:
        pagemap_rebuild(&map);
        break;
    default:
        flip(page, n, kind & 32);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    start();
    extend(1 + take(&input, 1) % 10);
    while (input.left > 0) {
        step(&input);
    }
    for (unsigned set = 0; set < PAGE_SETS; set++) {
        REQUIRE(pagemap_count(&map, set) == count(model[set], 0, pages));
    }
    REQUIRE(pagemap_is_valid(&map));
    return 0;
}
