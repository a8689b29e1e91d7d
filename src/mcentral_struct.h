/*
 * What a class and shard of the mcentral is, for mcentral.c, which takes from and gives to its
 * spans, and sparse.c, which looks after those that are mostly free. See mcentral.h.
 */
#ifndef GOALLOC_MCENTRAL_STRUCT_H
#define GOALLOC_MCENTRAL_STRUCT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "lock.h"
#include "sizeclass.h"
#include "spanset.h"

enum { MCENTRAL_SHARDS = 16 };

/* out == the sum over the class's spans of objects - free. */
struct mcentral {
    struct lock lock;
    struct spanset set;
    size_t out;
    size_t pages;
    atomic_bool has_spare; /* empty spans that other classes may have */
} __attribute__((aligned(CACHE_LINE)));

extern HIDDEN struct mcentral mcentrals[MCENTRAL_SHARDS][CLASS_COUNT];
extern HIDDEN _Atomic unsigned mcentral_shards_used;

/* The shards from this one on have never had a span. */
ALWAYS_INLINE unsigned mcentral_shards(void) {
    return atomic_load_explicit(&mcentral_shards_used, memory_order_relaxed);
}

ALWAYS_INLINE unsigned shard_of_span(const struct span *span) {
    return atomic_load_explicit(&span->shard, memory_order_relaxed);
}

#endif
