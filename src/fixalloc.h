/*
 * A free list of equal structs in persistent memory: spans, mcaches, magazines. Freed structs are
 * reused in last-in first-out order and never go back. See README.md.
 */
#ifndef GOALLOC_FIXALLOC_H
#define GOALLOC_FIXALLOC_H

#include <stddef.h>

#include "lock.h"

struct fixalloc {
    struct lock lock;
    uint32_t size;  /* of a struct, a multiple of align, at least a pointer */
    uint32_t align; /* a power of two, at most a system page */
    void *free;     /* linked through the first word */
    char *next;     /* the unused rest of the current chunk: [next, end) */
    char *end;
    size_t chunk; /* the bytes of that chunk */
};

/* No two structs share what they are aligned to: a cache line, say. */
#define FIXALLOC_INIT(struct_size, struct_align)                                                   \
    {                                                                                              \
        .lock = LOCK_INIT,                                                                         \
        .size = ((struct_size) + (struct_align)-1) / (struct_align) * (struct_align),              \
        .align = (struct_align)                                                                    \
    }

/* Contents: zero on first use, else what fixalloc_free left. NULL: no memory. */
void *fixalloc_alloc(struct fixalloc *fixalloc);
void fixalloc_free(struct fixalloc *fixalloc, void *object);

/* In the child of a fork: every field is changed by single stores in an order that loses at most
 * one struct, so the lock is all there is to mend. */
void fixalloc_reset_in_child(struct fixalloc *fixalloc);

#endif
