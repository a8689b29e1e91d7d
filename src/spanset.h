/*
 * A set of spans of one class that have free objects, in buckets by how many: eight from the
 * fullest spans to the emptiest, and a last one for those that are empty, with all objects free.
 * How many spans there are makes no difference to adding, removing and finding one. A spanset has
 * no lock; its user has. See README.md.
 */
#ifndef GOALLOC_SPANSET_H
#define GOALLOC_SPANSET_H

#include <stdbool.h>
#include <stdint.h>

#include "bits.h"
#include "span.h"

/* Bit i of listed is set when bucket[i] is not empty. bucket[i] holds spans with free > 0 whose
 * span_bucket was i when they were added, and whose field `bucket` is. All zero: no spans. */
struct spanset {
    uint32_t listed;
    uint32_t empty_pages; /* of the spans in the last bucket */
    struct span *bucket[SPAN_BUCKETS + 1];
};

/* Adds a span that is in no set, to the bucket that span_bucket says. */
static inline void spanset_add(struct spanset *set, struct span *span) {
    unsigned i = span_bucket(span);
    span->bucket = (uint8_t)i;
    span->prev = NULL;
    span->next = set->bucket[i];
    if (span->next != NULL) {
        span->next->prev = span;
    }
    set->bucket[i] = span;
    set->listed |= 1u << i;
    if (i == SPAN_BUCKETS) {
        set->empty_pages += span->pages;
    }
}

/* Removes a span, which may be in no set. */
static inline void spanset_remove(struct spanset *set, struct span *span) {
    unsigned i = span->bucket;
    if (i == SPAN_UNLISTED) {
        return;
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
    if (i == SPAN_BUCKETS) {
        set->empty_pages -= span->pages;
    }
    span->bucket = SPAN_UNLISTED;
}

/* Has it no spans at all? */
ALWAYS_INLINE bool spanset_is_empty(const struct spanset *set) {
    return set->listed == 0;
}

/* One of those with the fewest free objects; NULL: there is none. */
ALWAYS_INLINE struct span *spanset_fullest(const struct spanset *set) {
    return set->listed == 0 ? NULL : set->bucket[bits_lowest(set->listed)];
}

/* One of those with the most; the set is not empty. */
ALWAYS_INLINE struct span *spanset_emptiest(const struct spanset *set) {
    return set->bucket[WORD_BITS - 1 - (unsigned)__builtin_clzll(set->listed)];
}

/* The span behind this one, from the fullest (span == NULL) to the emptiest; NULL: the end. */
struct span *spanset_next(const struct spanset *set, const struct span *span);

/* Is there a span that is half empty or more? A guess while others change the set. */
__attribute__((no_sanitize("thread"))) static inline bool
spanset_has_half_empty(const struct spanset *set) {
    return *(const volatile uint32_t *)&set->listed >> (SPAN_BUCKETS / 2) != 0;
}

/* The pages of empty spans. A guess while others change the set. */
__attribute__((no_sanitize("thread"))) static inline uint32_t
spanset_guess_empty(const struct spanset *set) {
    return *(const volatile uint32_t *)&set->empty_pages;
}

/* Do buckets, counts and spans agree? */
bool spanset_is_valid(const struct spanset *set);

#endif
