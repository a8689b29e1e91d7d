/*
 * A span: a run of pages that holds objects of one class, one large block, or stacks. Its
 * descriptor lies out of line, with one bit an object behind it, so that a write past the end of an
 * object cannot reach it and a free object's memory is never touched. See README.md.
 */
#ifndef GOALLOC_SPAN_H
#define GOALLOC_SPAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "sizeclass.h"

enum { SPAN_UNLISTED = 0xff, SPAN_BUCKETS = 4, SPAN_STACK_WORDS = 5, SPAN_RUN_LEAST = 4 };

/* In place of the magic of a large block that guard.h keeps; no class has it. */
#define SPAN_GUARDED UINT32_MAX

/*
 * Small: class != 0, free == the ones in bits[0 .. words), 0 <= free <= objects,
 *        objects * size <= pages * PAGE_SIZE; every word below first_word is 0.
 * Large: class == stack == 0, objects == free == 0, the block is all of the pages but for the
 *        first `lead` cache lines.
 * Stacks: class == 0, stack != 0, 1 <= objects <= 64, free == the ones in bits[0]; what the other
 *        words tell of each stack, and the rest, is stackpool.c's.
 *
 * base, pages, objects, magic and class change only under the lock of the heap, while no object is
 * out (a large block's pages: while its owner resizes it); the rest is guarded by the lock of the
 * class's mcentral, or of the pool of stacks.
 */
struct span {
    uintptr_t base;
    uint32_t pages;
    uint32_t magic; /* class_to_magic[class], or SPAN_GUARDED */
    union {
        uint32_t stride;        /* of stacks: bytes from one to the next */
        struct {                /* of objects: */
            uint16_t relist_at; /* with so many free ones it changes its bucket */
            uint16_t idle;      /* see span_punch_idle */
        };
    };
    uint16_t objects;
    uint16_t free;
    uint8_t first_word;
    uint8_t class;
    _Atomic uint8_t shard; /* of the mcentral; changes under the locks of both shards */
    uint8_t bucket;        /* of the spanset that it is in, or SPAN_UNLISTED */
    bool needs_zero;       /* some of it may not read as zero */
    uint8_t stack;         /* of stacks: their kind in stackpool.h, plus 1 */
    union {
        struct {          /* of a large block: */
            bool backed;  /* all of it was dirty, in the terms of mheap.c */
            uint8_t lead; /* how many cache lines behind `base` it begins */
        };
        uint16_t holes; /* of objects: see span_punch */
    };
    struct span *next;
    struct span *prev;
    uint64_t bits[]; /* 1: free */
};

/* A descriptor with all objects free, of class_to_pages[class] pages, or, with class 0, of a large
 * block; NULL: no memory for it. */
struct span *span_create(uintptr_t base, size_t pages, unsigned class);

/* The same for 1 to 64 stacks of a kind. */
struct span *span_create_stacks(uintptr_t base, size_t pages, unsigned kind, unsigned stacks);

void span_destroy(struct span *span);

/* In the child of a fork. */
void span_reset_in_child(void);

ALWAYS_INLINE unsigned span_words(const struct span *span) {
    return (span->objects + WORD_BITS - 1) / WORD_BITS;
}

ALWAYS_INLINE size_t span_bytes(const struct span *span) {
    return (size_t)span->pages << PAGE_SHIFT;
}

ALWAYS_INLINE bool span_is_large(const struct span *span) {
    return span->class == 0 && span->stack == 0;
}

/* From the start of the pages to that of a large block; less than a page. */
ALWAYS_INLINE size_t span_lead(const struct span *span) {
    return (size_t)span->lead * CACHE_LINE;
}

/* Where a large block begins. */
ALWAYS_INLINE void *span_large_start(const struct span *span) {
    return (void *)(span->base + span_lead(span));
}

/* The size of each of its blocks. */
ALWAYS_INLINE size_t span_block_size(const struct span *span) {
    return span->class != 0 ? class_to_size[span->class] : span_bytes(span) - span_lead(span);
}

ALWAYS_INLINE uint32_t span_index(const struct span *span, uintptr_t address) {
    return object_index(span->magic, address - span->base);
}

ALWAYS_INLINE uintptr_t span_object(const struct span *span, uint32_t index) {
    return span->base + (uintptr_t)index * class_to_size[span->class];
}

/* Is this the address of an object, in use or not? Never true in the tail behind the last one. */
ALWAYS_INLINE bool span_is_object(const struct span *span, uintptr_t address) {
    struct object_place place = object_place(span->magic, address - span->base);
    return place.exact && place.index < span->objects;
}

ALWAYS_INLINE bool span_object_is_free(const struct span *span, uint32_t index) {
    return span->bits[index / WORD_BITS] >> (index % WORD_BITS) & 1;
}

/* SPAN_BUCKETS only when all are free. */
ALWAYS_INLINE unsigned span_bucket(const struct span *span) {
    return (unsigned)span->free * SPAN_BUCKETS / span->objects;
}

/* The following work on the objects of a small span, under the lock of its mcentral. */

/* Takes up to `want` free objects, but no more than there are, and stores them below `end`, the one
 * with the lowest address at end[-1]. Returns how many. `few`: those first that share their cache
 * lines with none in use. */
unsigned span_take(struct span *span, void **end, unsigned want, bool few);

/* Sets n bits from `first` on, which lie in two words at most; false and nothing changed: one was
 * set already. */
static inline bool span_set_run(struct span *span, uint32_t first, unsigned n) {
    unsigned w = first / WORD_BITS, bit = first % WORD_BITS;
    unsigned part = (unsigned)min_size(n, WORD_BITS - bit);
    uint64_t low = bits_mask(bit, part), high = n > part ? bits_mask(0, n - part) : 0;
    if ((span->bits[w] & low) != 0 || (high != 0 && (span->bits[w + 1] & high) != 0)) {
        return false;
    }
    span->bits[w] |= low;
    if (high != 0) {
        span->bits[w + 1] |= high;
    }
    return true;
}

/* How many objects from the first on are neighbours, each `stride` behind the one before. By fours
 * first: one branch for them, and no memory is read twice. */
static inline unsigned span_count_run(void *const *objects, unsigned n, size_t stride) {
    void *const *at = objects, *const *end = objects + n;
    uintptr_t next = (uintptr_t)objects[0];
    for (; end - at >= 4; at += 4, next += 4 * stride) {
        uintptr_t wrong = ((uintptr_t)at[0] ^ next) | ((uintptr_t)at[1] ^ (next + stride)) |
                          ((uintptr_t)at[2] ^ (next + 2 * stride)) |
                          ((uintptr_t)at[3] ^ (next + 3 * stride));
        if (wrong != 0) {
            break;
        }
    }
    for (; at < end && (uintptr_t)*at == next; at++) {
        next += stride;
    }
    return (unsigned)(at - objects);
}

/* Gives the objects back with which `objects` begins and that lie in a row, forwards or backwards;
 * n is 2 to WORD_BITS and size that of the class. Returns how many; 0, and nothing happened: fewer
 * than SPAN_RUN_LEAST, or one is free already or no object. */
static inline unsigned span_give_run(struct span *span, void *const *objects, unsigned n,
                                     size_t size) {
    size_t stride = (uintptr_t)objects[1] - (uintptr_t)objects[0];
    size_t offset = (uintptr_t)objects[0] - span->base;
    struct object_place place = object_place(span->magic, offset);
    uint32_t index = place.index;
    unsigned run, room;
    if (stride == size) {
        room = span->objects - index;
    } else if (stride == -size) {
        room = index + 1;
    } else {
        return 0;
    }
    run = span_count_run(objects, (unsigned)min_size(n, room), stride);
    if (!place.exact || index >= span->objects || run < SPAN_RUN_LEAST) {
        return 0;
    }
    uint32_t first = stride == size ? index : index - (run - 1);
    if (!span_set_run(span, first, run)) {
        return 0;
    }
    span->first_word = 0;
    span->free = (uint16_t)(span->free + run);
    return run;
}

/* Gives one back. False: it is free already, or no object. No branch here depends on the order of
 * the objects: guessing it wrong costs more than all the rest. */
ALWAYS_INLINE bool span_give(struct span *span, uintptr_t address) {
    size_t offset = address - span->base;
    struct object_place place = object_place(span->magic, offset);
    if (UNLIKELY(!place.exact || place.index >= span->objects)) {
        return false;
    }
    unsigned w = place.index / WORD_BITS;
    uint64_t word = span->bits[w], bit = UINT64_C(1) << (place.index % WORD_BITS);
    if (UNLIKELY(word & bit)) {
        return false;
    }
    span->bits[w] = word | bit;
    span->first_word = 0;
    span->free++;
    return true;
}

/* False: the system's page is larger than 4 KiB, or what free objects contain is to be verified. */
bool span_may_punch(void);

/* Gives the pages back to the system that only have free objects, if it may. They stay the span's,
 * which has bits for them: bit i of `holes` is the i-th 4 KiB, and clear again once an object there
 * is taken. Returns the bytes. */
size_t span_punch(struct span *span);

/* The same for those pages that only had free ones at the last call of this, too, and since. Which
 * these are is what the bits of `idle` say. */
size_t span_punch_idle(struct span *span);

/* The bytes that are given back like this now, of all spans. */
size_t span_hole_bytes(void);

/* A free object that `wanted` says yes to; NULL: none. */
void *span_find_free(const struct span *span, bool (*wanted)(const void *object));

/* Computes free and first_word from the bits, and closes holes that objects in use have a part
 * of. */
void span_recount(struct span *span);

bool span_is_valid(const struct span *span);

#endif
