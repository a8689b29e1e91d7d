/*
 * The page heap: spans of all kinds in 48 places against a model of who owns which pages, and the
 * sums of the statistics. Each page in use carries the mark of its owner at both ends.
 */
#include "fuzz.h"

#include "arena.h"
#include "mheap.h"
#include "os.h"

enum { PLACES = 48 };

struct place {
    struct span *span; /* NULL: empty */
    size_t mark;
};

static struct place places[PLACES];

static size_t *page_words(const struct span *span, size_t page) {
    return (size_t *)(span->base + (page << PAGE_SHIFT));
}

enum { LAST = PAGE_SIZE / sizeof(size_t) - 1 };

static void write_marks(const struct place *place) {
    for (size_t i = 0; i < place->span->pages; i++) {
        page_words(place->span, i)[0] = page_words(place->span, i)[LAST] = place->mark + i;
    }
}

static void check_marks(const struct place *place, size_t pages) {
    for (size_t i = 0; i < pages; i++) {
        REQUIRE(page_words(place->span, i)[0] == place->mark + i);
        REQUIRE(page_words(place->span, i)[LAST] == place->mark + i);
    }
}

static void check_zero(const struct span *span) {
    for (size_t i = 0; !span->needs_zero && i < span->pages; i++) {
        REQUIRE(page_words(span, i)[0] == 0 && page_words(span, i)[LAST] == 0);
    }
}

static void check_apart(const struct place *place) {
    uintptr_t start = place->span->base, end = start + span_bytes(place->span);
    for (size_t i = 0; i < PLACES; i++) {
        const struct span *other = places[i].span;
        REQUIRE(&places[i] == place || other == NULL || end <= other->base ||
                other->base + span_bytes(other) <= start);
    }
}

/* Each page of small objects, and the first of a large block, leads to the span. */
static void check_tables(const struct span *span) {
    const struct arena *arena = arena_of(span->base);
    REQUIRE(arena != NULL && span->base + span_bytes(span) <= arena->base + arena_opened(arena));
    for (size_t i = 0; i < span->pages; i++) {
        size_t page = arena_page(arena, span->base) + i;
        bool entered = i == 0 || span->class != 0;
        REQUIRE(arena->page_span[page] == (entered ? span : NULL));
        REQUIRE(arena->page_class[page] == span->class);
    }
}

static void fill_place(struct place *place, struct span *span) {
    static size_t marks;
    REQUIRE(span != NULL && span->pages > 0 && span->base % PAGE_SIZE == 0);
    place->span = span;
    place->mark = marks += (size_t)1 << 20;
    check_apart(place);
    check_tables(span);
    check_zero(span);
    write_marks(place);
}

static void empty_place(struct place *place) {
    if (place->span != NULL) {
        check_tables(place->span);
        check_marks(place, place->span->pages);
        mheap_free(place->span);
        place->span = NULL;
    }
}

static size_t take_length(struct input *input) {
    switch (take(input, 1) % 4) {
    case 0:
        return take(input, 2);
    case 1:
        return take(input, 3) % (take(input, 1) < 16 ? 8 * MIB : MIB);
    default:
        return (take(input, 1) + 1) * PAGE_SIZE + take(input, 1) % 3 - 1;
    }
}

static void resize(struct place *place, size_t bytes) {
    if (place->span == NULL || place->span->class != 0) {
        return;
    }
    size_t before = place->span->pages;
    check_marks(place, before);
    bool done = mheap_resize(place->span, bytes);
    REQUIRE(done || place->span->pages == before);
    REQUIRE(!done || span_bytes(place->span) >= bytes);
    check_marks(place, min_size(before, place->span->pages));
    check_apart(place);
    check_tables(place->span);
    write_marks(place);
}

static void check_sums(void) {
    struct mheap_stats stats = mheap_get_stats();
    size_t in_use = 0, large = 0, blocks = 0;
    for (size_t i = 0; i < PLACES; i++) {
        size_t bytes = places[i].span != NULL ? span_bytes(places[i].span) : 0;
        bool is_large = bytes > 0 && places[i].span->class == 0;
        in_use += bytes;
        large += is_large ? bytes : 0;
        blocks += is_large;
    }
    REQUIRE(stats.in_use == in_use && stats.large == large && stats.large_blocks == blocks);
    REQUIRE(stats.mapped == stats.in_use + stats.free_dirty + stats.free_clean);
    REQUIRE(mheap_is_valid());
}

static void release(size_t keep) {
    size_t before = mheap_get_stats().free_dirty, released = mheap_release(keep, SIZE_MAX);
    REQUIRE(mheap_get_stats().free_dirty == before - released);
    REQUIRE(before - released <= keep);
}

/* Up to n spans of a class; what there is beyond two goes back. */
static void fill_with_spans(struct place *place, struct place *other, unsigned class, size_t n) {
    struct span *first = mheap_alloc_small(class, n, MHEAP_ANY), *second;
    REQUIRE(first != NULL);
    for (const struct span *span = first, *next; span != NULL; span = next, n--) {
        next = span->next;
        REQUIRE(n > 0 && span->class == class && span->free == span->objects);
        REQUIRE(next == NULL || next->base + span_bytes(next) == span->base);
    }
    second = first->next;
    fill_place(place, first);
    if (second != NULL) {
        mheap_free_small(second->next);
        fill_place(other, second);
    }
}

static void step(struct input *input) {
    size_t kind = take(input, 1) % 8, bytes, align;
    size_t index = take(input, 1) % PLACES;
    struct place *place = &places[index], *other = &places[(index + 1) % PLACES];
    switch (kind) {
    case 0:
    case 1:
        empty_place(place);
        bytes = take_length(input);
        align = PAGE_SIZE << take(input, 1) % 9;
        fill_place(place, mheap_alloc_large(bytes, align, MHEAP_ANY));
        REQUIRE(span_bytes(place->span) >= bytes && place->span->base % align == 0);
        break;
    case 2:
        empty_place(place);
        empty_place(other);
        bytes = 1 + take(input, 1) % (CLASS_COUNT - 1);
        fill_with_spans(place, other, (unsigned)bytes, 1 + take(input, 1) % 8);
        break;
    case 3:
    case 4:
        resize(place, max_size(take_length(input), 1));
        break;
    case 5:
        release(take(input, 2) << 6);
        break;
    case 6:
        REQUIRE(mheap_idle() <= mheap_get_stats().mapped);
        check_sums();
        break;
    default:
        empty_place(place);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    while (input.left > 0) {
        step(&input);
    }
    for (size_t i = 0; i < PLACES; i++) {
        empty_place(&places[i]);
    }
    check_sums();
    return 0;
}
