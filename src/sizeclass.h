/*
 * Size classes: every request up to MAX_SMALL_SIZE is rounded up to one of CLASS_COUNT - 1 sizes.
 * The tables are computed, and their arithmetic proven, by sizeclass_gen.c; the constants here are
 * checked against them at compile time. See README.md.
 *
 * The smallest class is what Go calls the tiny allocator. In Go objects under 16 bytes share a
 * 16-byte block that dies as a whole. C frees each object alone and programs tag the low three bits
 * of pointers, so the block is carved in two 8-byte halves that live and die alone: a size class of
 * 8. A request of 1 to 8 bytes takes a half, 9 to 15 the block of 16, and usable size, realloc and
 * alignment need no special case.
 */
#ifndef GOALLOC_SIZECLASS_H
#define GOALLOC_SIZECLASS_H

#include <stdint.h>

#include "base.h"

enum {
    CLASS_COUNT = 58, /* class 0 included, which stands for "no small object" */
    SIZE_STEP = 8,    /* the grain of size_to_class */
    MAX_SMALL_SIZE = 32768,
    MAX_SPAN_BYTES = 65536, /* object_place is proven below this */
};

extern HIDDEN HOT_CONSTANT const uint16_t class_to_size[CLASS_COUNT];
/* Of a span: the fewest pages with little waste. */
extern HIDDEN HOT_CONSTANT const uint8_t class_to_pages[CLASS_COUNT];
extern HIDDEN HOT_CONSTANT const uint32_t class_to_magic[CLASS_COUNT];
extern HIDDEN HOT_CONSTANT const uint8_t size_to_class[MAX_SMALL_SIZE / SIZE_STEP + 1];

/* What malloc promises. */
ALWAYS_INLINE size_t malloc_align(size_t size) {
    return size <= 8 ? 8 : 16;
}

/* The class for a request of size <= MAX_SMALL_SIZE bytes; size 0 has the smallest class. */
ALWAYS_INLINE unsigned size_class(size_t size) {
    return size_to_class[(size + SIZE_STEP - 1) / SIZE_STEP];
}

/* The smallest class whose objects are all aligned; 0: none. Spans begin at a page. */
static inline unsigned size_class_aligned(size_t align, size_t size) {
    if (align > PAGE_SIZE || size > MAX_SMALL_SIZE) {
        return 0;
    }
    unsigned class = size_class(align_up(max_size(size, 1), align));
    while ((class_to_size[class] & (align - 1)) != 0) {
        class++; /* the largest class is a multiple of a page */
    }
    return class;
}

/*
 * offset / class_to_size[class] for offset < MAX_SPAN_BYTES, without a division: the upper half of
 * the product with the class's magic number. The lower half is less than that number only when the
 * division leaves no rest: Lemire, Kaser and Kurz, "Faster Remainder by Direct Computation" (2019).
 */
struct object_place {
    uint32_t index;
    bool exact;
};

ALWAYS_INLINE struct object_place object_place(uint32_t class_magic, size_t offset) {
    uint64_t product = (uint64_t)offset * class_magic;
    return (struct object_place){(uint32_t)(product >> 32), (uint32_t)product < class_magic};
}

ALWAYS_INLINE uint32_t object_index(uint32_t class_magic, size_t offset) {
    return object_place(class_magic, offset).index;
}

#endif
