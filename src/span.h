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

enum { SPAN_UNLISTED = 0xff, SPAN_BUCKETS = 8, SPAN_STACK_WORDS = 5 };

/* In place of the magic of a large block that guard.h keeps; no class has it. */
#define SPAN_GUARDED UINT32_MAX

/*
 * Small: class != 0, free == the ones in bits[0 .. words), 0 <= free <= objects,
 *        objects * size <= pages * PAGE_SIZE; every word below first_word is 0.
 * Large: class == stack == 0, objects == free == 0, the block is all of the pages.
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
        uint32_t emptiness; /* SPAN_BUCKETS / objects, times 2^28, rounded up: see span_bucket */
        uint32_t stride;    /* of stacks: bytes from one to the next */
    };
    uint16_t objects;
    uint16_t free;
    uint8_t first_word;
    uint8_t class;
    _Atomic uint8_t shard; /* of the mcentral; changes under the locks of both shards */
    uint8_t bucket;        /* the mcentral list that it is on, or SPAN_UNLISTED */
    bool needs_zero;       /* some of it may not read as zero */
    bool backed;           /* all of it was dirty, in the terms of mheap.c, when it was taken */
    uint8_t stack;         /* of stacks: their kind in stackpool.h, plus 1 */
    struct span *next;
    struct span *prev;
    uint64_t bits[]; /* 1: free */
};

/* A descriptor with all objects free; NULL: no memory for it. */
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

/* The size of each of its blocks. */
ALWAYS_INLINE size_t span_block_size(const struct span *span) {
    return span->class != 0 ? class_to_size[span->class] : span_bytes(span);
}

ALWAYS_INLINE uint32_t span_index(const struct span *span, uintptr_t address) {
    return object_index(span->magic, address - span->base);
}

ALWAYS_INLINE uintptr_t span_object(const struct span *span, uint32_t index) {
    return span->base + (uintptr_t)index * class_to_size[span->class];
}

/* Is this the address of an object, in use or not? Never true in the tail behind the last one. */
ALWAYS_INLINE bool span_is_object(const struct span *span, uintptr_t address) {
    uint32_t index = span_index(span, address);
    return index < span->objects && span_object(span, index) == address;
}

ALWAYS_INLINE bool span_object_is_free(const struct span *span, uint32_t index) {
    return span->bits[index / WORD_BITS] >> (index % WORD_BITS) & 1;
}

/* free * SPAN_BUCKETS / objects, without a division: SPAN_BUCKETS only when all are free. */
ALWAYS_INLINE unsigned span_bucket(const struct span *span) {
    return (unsigned)((uint64_t)span->free * span->emptiness >> 28);
}

bool span_is_valid(const struct span *span);

#endif
