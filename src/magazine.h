/*
 * A magazine: a stack of pointers to free objects of one class, after Bonwick and Adams, "Magazines
 * and Vmem" (2001). It lies between two NULLs, and its free slots hold anything but NULL:
 *
 *     | count, capacity | NULL | object | object | object | free | free | NULL |
 *                               ^lowest                     ^top          ^end
 *
 * So malloc sees an empty magazine when it loads NULL from below the top, and free sees a full one
 * when it loads NULL from the top, both without knowing where its ends are. See README.md.
 */
#ifndef GOALLOC_MAGAZINE_H
#define GOALLOC_MAGAZINE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base.h"

/* With the largest capacity it has a KiB. */
enum { MAGAZINE_MOST = (int)(KIB / sizeof(void *)) - 3 };

/* count <= capacity; count is kept up to date only while no thread's top points into it. */
struct magazine {
    uint32_t count;
    uint32_t capacity;
    void *slot[]; /* from the first NULL to the last */
};

/* More of one size than this is not worth keeping, but for a few. */
#define MAGAZINE_WORTH (128 * KIB)
enum { MAGAZINE_FEW = 16 };

/* The largest capacity of magazines for objects of a size. */
static inline unsigned magazine_capacity_most(size_t size) {
    return (unsigned)max_size(MAGAZINE_FEW, min_size(MAGAZINE_WORTH / size, MAGAZINE_MOST));
}

/* Is this the one? Without a division. */
static inline bool magazine_is_largest(unsigned capacity, size_t size) {
    return capacity >= MAGAZINE_MOST ||
           (capacity >= MAGAZINE_FEW && (capacity + 1) * size > MAGAZINE_WORTH);
}

/* Empty, with room for 1 to MAGAZINE_MOST objects; NULL: no memory for it. */
struct magazine *magazine_create(unsigned capacity);
void magazine_destroy(struct magazine *magazine);

/* In the child of a fork. */
void magazine_reset_in_child(void);

ALWAYS_INLINE void **magazine_lowest(struct magazine *magazine) {
    return &magazine->slot[1];
}

/* The slot above the last object. */
ALWAYS_INLINE void **magazine_top(struct magazine *magazine) {
    return magazine_lowest(magazine) + magazine->count;
}

ALWAYS_INLINE bool magazine_is_full(const struct magazine *magazine) {
    return magazine->count == magazine->capacity;
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

/* The lowest n objects, at most count, are gone: the others move down. */
static inline void magazine_drop_lowest(struct magazine *magazine, uint32_t n) {
    void **lowest = magazine_lowest(magazine);
    magazine->count -= n;
    memmove(lowest, lowest + n, magazine->count * sizeof *lowest);
}

/* All objects of one move into the other, which is empty and has room for them. */
static inline void magazine_move(struct magazine *to, struct magazine *from) {
    memcpy(magazine_lowest(to), magazine_lowest(from), from->count * sizeof(void *));
    to->count = from->count;
    from->count = 0;
}

#endif
