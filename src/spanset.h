/*
 * A set of spans of one class that have free objects, in buckets by how many: four from the
 * fullest spans to the emptiest, one for those that are empty, with all objects free, and one for
 * those that drain: they are to become empty, and are used only when there is nothing else. How
 * many spans there are makes no difference to adding, removing and finding one. A spanset has no
 * lock; its user has. See README.md.
 */
#ifndef GOALLOC_SPANSET_H
#define GOALLOC_SPANSET_H

#include <stdbool.h>
#include <stdint.h>

#include "bits.h"
#include "span.h"

enum { SPANSET_EMPTY = SPAN_BUCKETS, SPANSET_DRAINING, SPANSET_BUCKETS };

/* Bit i of listed is set when bucket[i] is not empty. bucket[i] holds spans with free > 0 that were
 * added to it, and whose field `bucket` is i. All zero: no spans. */
struct spanset {
    uint32_t listed;
    uint32_t empty_pages;
    uint32_t draining_pages;
    struct span *bucket[SPANSET_BUCKETS];
    struct span *cursor; /* where a walk through the set goes on; NULL: it is at the end */
};

/* The span behind this one, from the fullest (span == NULL) to the emptiest; NULL: the end. */
struct span *spanset_next(const struct spanset *set, const struct span *span);

/* Where a span with free objects belongs: one that drains does so until it is empty. */
static inline unsigned spanset_bucket(const struct span *span) {
    unsigned i = span_bucket(span);
    return i < SPANSET_EMPTY && span->bucket == SPANSET_DRAINING ? SPANSET_DRAINING : i;
}

static inline void spanset_count(struct spanset *set, unsigned i, uint32_t pages) {
    if (UNLIKELY(i >= SPANSET_EMPTY)) {
        *(i == SPANSET_EMPTY ? &set->empty_pages : &set->draining_pages) += pages;
    }
}

/* How many free objects make a span leave bucket i for an emptier one; one that drains is looked at
 * for each. */
static inline uint16_t spanset_bucket_end(const struct span *span, unsigned i) {
    uint32_t end = i < SPANSET_EMPTY ? ((i + 1) * span->objects + SPAN_BUCKETS - 1) / SPAN_BUCKETS
                   : i == SPANSET_DRAINING ? span->free + 1u
                                           : UINT16_MAX;
    return (uint16_t)end;
}

/* Adds a span that is in no set to a bucket. */
static inline void spanset_add(struct spanset *set, struct span *span, unsigned i) {
    span->bucket = (uint8_t)i;
    span->relist_at = spanset_bucket_end(span, i);
    span->prev = NULL;
    span->next = set->bucket[i];
    if (span->next != NULL) {
        span->next->prev = span;
    }
    set->bucket[i] = span;
    set->listed |= 1u << i;
    spanset_count(set, i, span->pages);
}

/* Removes a span, which may be in no set. */
static inline void spanset_remove(struct spanset *set, struct span *span) {
    unsigned i = span->bucket;
    if (i == SPAN_UNLISTED) {
        return;
    }
    if (UNLIKELY(set->cursor == span)) {
        set->cursor = spanset_next(set, span);
    }
    if (span->prev != NULL) {
        span->prev->next = span->next;
    } else {
        set->bucket[i] = span->next;
    }
    if (span->next != NULL) {
        span->next->prev = span->prev;
    }
    if (set->bucket[i] == NULL) {
        set->listed &= ~(1u << i);
    }
    spanset_count(set, i, -span->pages);
    span->bucket = SPAN_UNLISTED;
    span->relist_at = 1;
}

/* Has it no spans at all? */
ALWAYS_INLINE bool spanset_is_empty(const struct spanset *set) {
    return set->listed == 0;
}

/* One of those with the fewest free objects; NULL: there is none. */
ALWAYS_INLINE struct span *spanset_fullest(const struct spanset *set) {
    return set->listed == 0 ? NULL : set->bucket[bits_lowest(set->listed)];
}

/* One of those with the most, of the buckets below `end`; NULL: there is none. */
ALWAYS_INLINE struct span *spanset_emptiest(const struct spanset *set, unsigned end) {
    uint64_t listed = set->listed & bits_mask(0, end);
    return listed == 0 ? NULL : set->bucket[bits_highest(listed)];
}

/* A walk begins, and comes to its next span; NULL: the end. What is removed on the way is left out,
 * and so may be what is added. */
static inline void spanset_begin_walk(struct spanset *set) {
    set->cursor = spanset_next(set, NULL);
}

static inline struct span *spanset_walk(struct spanset *set) {
    struct span *span = set->cursor;
    set->cursor = span != NULL ? spanset_next(set, span) : NULL;
    return span;
}

/* Is there a span that is half empty or more, and does not drain? A guess while others change the
 * set. */
__attribute__((no_sanitize("thread"))) static inline bool
spanset_has_half_empty(const struct spanset *set) {
    uint64_t half = bits_mask(SPAN_BUCKETS / 2, SPANSET_DRAINING - SPAN_BUCKETS / 2);
    return (*(const volatile uint32_t *)&set->listed & half) != 0;
}

/* The pages of empty spans. A guess while others change the set. */
__attribute__((no_sanitize("thread"))) static inline uint32_t
spanset_guess_empty(const struct spanset *set) {
    return *(const volatile uint32_t *)&set->empty_pages;
}

/* Do buckets, counts and spans agree? */
bool spanset_is_valid(const struct spanset *set);

#endif
