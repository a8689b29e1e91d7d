/* Span descriptors and their memory. See span.h and README.md. */
#include "span.h"

#include <assert.h>
#include <string.h>

#include "fixalloc.h"
#include "options.h"
#include "os.h"

/*
 * A descriptor of 64 bytes has room for 2 words of bits: 128 objects, every class from 64 bytes up,
 * and large blocks. The other pools are for the few smaller classes, and for stacks.
 */
enum { HEADER = offsetof(struct span, bits), INLINE_WORDS = 2, POOLS = 3 };

static_assert(HEADER + INLINE_WORDS * sizeof(uint64_t) == CACHE_LINE, "one line for most spans");

#define POOL(lines) FIXALLOC_INIT((lines)*CACHE_LINE, CACHE_LINE)
static struct fixalloc pools[POOLS] = {POOL(1), POOL(2), POOL(3)};

/* Of such a span: the types of objects, free and first_word. */
enum { OBJECTS_MOST = PAGE_SIZE / SIZE_STEP };
static_assert(OBJECTS_MOST <= UINT16_MAX && OBJECTS_MOST / WORD_BITS <= UINT8_MAX, "see above");
static_assert((3 * CACHE_LINE - HEADER) * 8 >= OBJECTS_MOST, "the smallest objects");

static struct fixalloc *pool_for(size_t words) {
    unsigned pool = 0;
    while ((pools[pool].size - HEADER) / sizeof(uint64_t) < words) {
        pool++;
    }
    return &pools[pool];
}

static void set_all_free(struct span *span) {
    unsigned words = span_words(span), rest = span->objects % WORD_BITS;
    memset(span->bits, 0xff, words * sizeof span->bits[0]);
    if (rest != 0) {
        span->bits[words - 1] = bits_mask(0, rest);
    }
}

struct span *span_create(uintptr_t base, size_t pages, unsigned class) {
    size_t objects = class == 0 ? 0 : (uint32_t)(pages << PAGE_SHIFT) / class_to_size[class];
    struct span *span = fixalloc_alloc(pool_for((objects + WORD_BITS - 1) / WORD_BITS));
    if (span == NULL) {
        return NULL;
    }
    *span = (struct span){
        .base = base,
        .pages = (uint32_t)pages,
        .magic = class_to_magic[class],
        .relist_at = 1,
        .objects = (uint16_t)objects,
        .free = (uint16_t)objects,
        .class = (uint8_t)class,
        .bucket = SPAN_UNLISTED,
    };
    set_all_free(span);
    return span;
}

struct span *span_create_stacks(uintptr_t base, size_t pages, unsigned kind, unsigned stacks) {
    struct span *span = fixalloc_alloc(pool_for(SPAN_STACK_WORDS));
    if (span == NULL) {
        return NULL;
    }
    *span = (struct span){
        .base = base,
        .pages = (uint32_t)pages,
        .objects = (uint16_t)stacks,
        .free = (uint16_t)stacks,
        .stack = (uint8_t)(kind + 1),
        .bucket = SPAN_UNLISTED,
    };
    memset(span->bits, 0, SPAN_STACK_WORDS * sizeof span->bits[0]);
    set_all_free(span);
    return span;
}

/* ---- holes ---- */

#define HOLE_BYTES (4 * KIB)

/* Of all spans. In the child of a fork it may be wrong by those of one span for each thread that
 * was lost. */
static _Atomic size_t hole_count;

static_assert(MAX_SPAN_BYTES / HOLE_BYTES <= 16, "the bits of `holes` and `idle`");

static void set_holes(struct span *span, uint16_t pages) {
    unsigned more = bits_count(pages) - bits_count(span->holes);
    atomic_fetch_add_explicit(&hole_count, (size_t)(int)more, memory_order_relaxed);
    span->holes = pages;
}

size_t span_hole_bytes(void) {
    return atomic_load_explicit(&hole_count, memory_order_relaxed) * HOLE_BYTES;
}

/* Are objects [first, end) all free? */
static bool are_free(const struct span *span, uint32_t first, uint32_t end) {
    while (first < end) {
        unsigned bit = first % WORD_BITS, n = (unsigned)min_size(WORD_BITS - bit, end - first);
        if ((~span->bits[first / WORD_BITS] & bits_mask(bit, n)) != 0) {
            return false;
        }
        first += n;
    }
    return true;
}

/* A bit for each HOLE_BYTES of the span that no object in use has a part of. */
static uint16_t free_pages(const struct span *span) {
    unsigned pages = (unsigned)(span_bytes(span) / HOLE_BYTES), free = 0;
    for (unsigned i = 0; i < pages; i++) {
        uint32_t first = object_index(span->magic, i * HOLE_BYTES);
        uint32_t last = object_index(span->magic, (i + 1) * HOLE_BYTES - 1);
        free |= are_free(span, first, (uint32_t)min_size(last + 1, span->objects)) ? 1u << i : 0;
    }
    return (uint16_t)free;
}

/* After objects were taken. */
static void close_holes(struct span *span) {
    uint16_t free = free_pages(span);
    set_holes(span, span->holes & free);
    span->idle &= free;
}

static size_t punch(struct span *span, uint16_t pages) {
    size_t punched = 0;
    for (uint64_t left = pages & ~span->holes; left != 0;) {
        unsigned first = bits_lowest(left), n = bits_trailing_ones(left >> first);
        if (!os_discard((void *)(span->base + first * HOLE_BYTES), n * HOLE_BYTES)) {
            break;
        }
        set_holes(span, span->holes | (uint16_t)bits_mask(first, n));
        left &= ~bits_mask(first, n);
        punched += n * HOLE_BYTES;
    }
    return punched;
}

bool span_may_punch(void) {
    return os_page_size() == HOLE_BYTES && options.check != CHECK_CONTENTS;
}

size_t span_punch(struct span *span) {
    return span_may_punch() ? punch(span, free_pages(span)) : 0;
}

size_t span_punch_idle(struct span *span) {
    uint16_t before = span->idle;
    span->idle = free_pages(span);
    return span_may_punch() ? punch(span, before & span->idle) : 0;
}

void span_destroy(struct span *span) {
    if (span->class != 0 && span->holes != 0) {
        set_holes(span, 0);
    }
    fixalloc_free(pool_for(span->stack != 0 ? SPAN_STACK_WORDS : span_words(span)), span);
}

/* ---- taking objects of a class ---- */

/* Of a word of bits those that lie in whole free pairs of cache lines, if there are any: what a
 * thread gets must not share a line with objects that another one writes to. */
static uint64_t apart(uint64_t word, size_t size) {
    bool fits = is_power_of_two(size) && size < 2 * CACHE_LINE;
    unsigned group = fits ? (unsigned)(2 * CACHE_LINE / size) : 1;
    uint64_t starts = bits_runs(word, group) & (~UINT64_C(0) / bits_mask(0, group));
    return starts != 0 ? starts * bits_mask(0, group) : word;
}

/* Stores n addresses, each `size` behind the one before, the first one at end[-1]. By fours. */
static void store_run(void **end, uintptr_t address, size_t size, unsigned n) {
    void **const last = end - n;
    for (; end - last >= 4; end -= 4, address += 4 * size) {
        end[-1] = (void *)address;
        end[-2] = (void *)(address + size);
        end[-3] = (void *)(address + 2 * size);
        end[-4] = (void *)(address + 3 * size);
    }
    for (; end > last; address += size) {
        *--end = (void *)address;
    }
}

/* Takes up to `want` of the objects whose bits are set in *word, which is not 0, the lowest first;
 * `first` is the address of bit 0's. Mostly the bits are one run, as in a new span. */
static unsigned take_from_word(uint64_t *word, uintptr_t first, size_t size, void **end,
                               unsigned want) {
    uint64_t rest = *word;
    unsigned low = bits_lowest(rest), run = bits_trailing_ones(rest >> low);
    if ((rest & (rest + (UINT64_C(1) << low))) == 0) {
        unsigned n = (unsigned)min_size(run, want);
        store_run(end, first + low * size, size, n);
        *word = rest & ~bits_mask(low, n);
        return n;
    }
    void **slot = end;
    for (; rest != 0 && slot > end - want; rest &= rest - 1) {
        *--slot = (void *)(first + bits_lowest(rest) * size);
    }
    *word = rest;
    return (unsigned)(end - slot);
}

unsigned span_take(struct span *span, void **end, unsigned want, bool few) {
    size_t size = class_to_size[span->class];
    unsigned got = 0, w = span->first_word;
    want = (unsigned)min_size(want, span->free);
    while (got < want) {
        uint64_t word = few ? apart(span->bits[w], size) : span->bits[w];
        uint64_t rest = span->bits[w] ^ word;
        if (word != 0) {
            uintptr_t first = span->base + w * WORD_BITS * size;
            got += take_from_word(&word, first, size, end - got, want - got);
        }
        span->bits[w] = rest | word;
        w += span->bits[w] == 0;
    }
    span->first_word = (uint8_t)w;
    span->free = (uint16_t)(span->free - got);
    if (UNLIKELY((span->holes | span->idle) != 0)) {
        close_holes(span);
    }
    return got;
}

/* ---- fork, checks ---- */

void span_reset_in_child(void) {
    for (unsigned i = 0; i < POOLS; i++) {
        fixalloc_reset_in_child(&pools[i]);
    }
}

void span_recount(struct span *span) {
    span->free = 0;
    span->first_word = 0;
    for (unsigned w = span_words(span); w-- > 0;) {
        span->free = (uint16_t)(span->free + bits_count(span->bits[w]));
        span->first_word = span->bits[w] != 0 ? (uint8_t)w : span->first_word;
    }
    close_holes(span);
}

void *span_find_free(const struct span *span, bool (*wanted)(const void *object)) {
    for (uint32_t i = 0; i < span->objects; i++) {
        void *object = (void *)span_object(span, i);
        if (span_object_is_free(span, i) && wanted(object)) {
            return object;
        }
    }
    return NULL;
}

bool span_is_valid(const struct span *span) {
    uint32_t free = 0;
    for (unsigned i = 0; i < span_words(span); i++) {
        if (i < span->first_word && span->bits[i] != 0) {
            return false;
        }
        free += bits_count(span->bits[i]);
    }
    size_t used = span->objects * (size_t)class_to_size[span->class];
    if (span->class != 0 && (span->holes & ~free_pages(span)) != 0) {
        return false;
    }
    return free == span->free && used <= span_bytes(span);
}
