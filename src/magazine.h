/*
 * A magazine: a stack of pointers to free objects of one class, after Bonwick and Adams, "Magazines
 * and Vmem" (2001). It is a 512-byte block aligned to its size; the stack grows up to the block's
 * end, and a NULL stands below its lowest slot:
 *
 *     | count capacity |  unused  | NULL | object | object | object | free | free |
 *                                        ^lowest                    ^top           ^ 512
 *
 * So malloc sees an empty magazine when it loads NULL from below the top, and free sees a full one
 * when the top is at a multiple of 512, both without knowing the capacity, which is 1 to
 * MAGAZINE_MOST. See README.md.
 */
#ifndef GOALLOC_MAGAZINE_H
#define GOALLOC_MAGAZINE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base.h"

enum {
    MAGAZINE_BYTES = 512,
    MAGAZINE_SLOTS = 63,
    MAGAZINE_MOST = MAGAZINE_SLOTS - 1,
};

/* count <= capacity; count is kept up to date only while no thread's top points into it. */
struct magazine {
    uint32_t count;
    uint32_t capacity;
    void *slot[MAGAZINE_SLOTS];
};

static_assert(sizeof(struct magazine) == MAGAZINE_BYTES, "its end is at a multiple of its size");

/* More of one size than this is not worth keeping in one magazine, but for a few. */
#define MAGAZINE_WORTH (64 * KIB)
enum { MAGAZINE_FEW = 8 };

/* The largest capacity of magazines for objects of a size. */
static inline unsigned magazine_capacity_most(size_t size) {
    return (unsigned)max_size(MAGAZINE_FEW, min_size(MAGAZINE_WORTH / size, MAGAZINE_MOST));
}

/* Is this the one? Without a division. */
static inline bool magazine_is_largest(unsigned capacity, size_t size) {
    return capacity >= MAGAZINE_MOST ||
           (capacity >= MAGAZINE_FEW && (capacity + 1) * size > MAGAZINE_WORTH);
}

/* Empty, of no capacity; NULL: no memory for it. */
struct magazine *magazine_create(void);
void magazine_destroy(struct magazine *magazine);

/* In the child of a fork. */
void magazine_reset_in_child(void);

ALWAYS_INLINE void **magazine_end(struct magazine *magazine) {
    return &magazine->slot[MAGAZINE_SLOTS];
}

ALWAYS_INLINE void **magazine_lowest(struct magazine *magazine) {
    return magazine_end(magazine) - magazine->capacity;
}

/* The slot above the last object. */
ALWAYS_INLINE void **magazine_top(struct magazine *magazine) {
    return magazine_lowest(magazine) + magazine->count;
}

/* 1 <= capacity <= MAGAZINE_MOST, and not below count: the objects move to the new lowest slot. */
static inline void magazine_set_capacity(struct magazine *magazine, uint32_t capacity) {
    void **from = magazine_lowest(magazine);
    magazine->capacity = capacity;
    if (magazine->count > 0) {
        memmove(magazine_lowest(magazine), from, magazine->count * sizeof *from);
    }
    magazine_lowest(magazine)[-1] = NULL;
}

/* A new one, of no capacity, is not. */
ALWAYS_INLINE bool magazine_is_full(const struct magazine *magazine) {
    return magazine->count > 0 && magazine->count == magazine->capacity;
}

/* The last n objects of one become the last of the other, in their order; there are as many, and
 * there is room. */
static inline void magazine_move(struct magazine *to, struct magazine *from, uint32_t n) {
    from->count -= n;
    memcpy(magazine_top(to), magazine_top(from), n * sizeof(void *));
    to->count += n;
}

/* count < capacity */
static inline void magazine_push(struct magazine *magazine, void *object) {
    *magazine_top(magazine) = object;
    magazine->count++;
}

/* count > 0 */
static inline void *magazine_pop(struct magazine *magazine) {
    magazine->count--;
    return *magazine_top(magazine);
}

#endif
