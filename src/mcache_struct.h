/*
 * The structs of a thread's cache, for mcache.c, which works on one, and registry.c, which looks at
 * those of all threads. See mcache.h.
 */
#ifndef GOALLOC_MCACHE_STRUCT_H
#define GOALLOC_MCACHE_STRUCT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "largecache.h"
#include "sizeclass.h"

struct magazine;
struct stackcache;

struct mcache_front {
    uintptr_t top[CLASS_COUNT];
    struct stackcache *stacks; /* NULL: not yet, or none any more */
    struct mcache *cache;      /* NULL: not yet; MCACHE_NONE: none any more */
    _Atomic(void *) deferred;  /* blocks freed while the slow path was busy, linked */
    atomic_bool busy;          /* the slow path is running: a signal handler must not enter it */
    uint8_t operations;        /* of those that count for a look at the clock, modulo 256 */
    uint32_t until_sample;     /* see check.h; 0: not known yet */
};

/* A magazine that is empty and full: nothing but its two NULLs. */
extern HIDDEN HOT_CONSTANT const void *const mcache_no_magazine[2];

/* Keeps the compiler from adding a top to the base once for several uses: with the sums left to the
 * addressing modes, free is an instruction shorter. */
ALWAYS_INLINE char *mcache_separate(char *base) {
    __asm__("" : "+r"(base));
    return base;
}

/* What tops are relative to. */
ALWAYS_INLINE char *mcache_base(void) {
    return mcache_separate((char *)(uintptr_t)&mcache_no_magazine[1]);
}

/* The slot that a top stands for. */
ALWAYS_INLINE void **mcache_slot(uintptr_t top) {
    return (void **)(void *)&mcache_base()[top];
}

ALWAYS_INLINE uintptr_t mcache_top(void **slot) {
    return (uintptr_t)slot - (uintptr_t)mcache_base();
}

/* The C library gives a library that is loaded late 512 bytes of static TLS at most. */
static_assert(sizeof(struct mcache_front) <= 512, "static TLS of a late dlopen");

/*
 * Of a class that is in use a thread has one magazine. It is loaded, the class's top points into
 * it, or it is "foreign" and the top is 0: it collects objects of other threads that this one frees
 * before it ever allocates. They go back rather than be reused here, so that two threads do not
 * come to own objects in one cache line.
 */
struct bin {
    struct magazine *magazine;
    void *marker;       /* the first object freed after it was last full */
    bool used : 1;      /* on the slow path, since the class was last swept */
    bool taken : 1;     /* malloc has missed here */
    uint8_t only_freed; /* so many halves in a row went back without a malloc between two of them */
    uint32_t top;       /* the low half of the class's top then */
};

/* spent == the sum over the magazines of capacity * size, and spent <= budget. */
struct mcache {
    struct mcache_front *front;
    struct mcache *next; /* the list of all caches, under the registry's lock */
    struct mcache *prev;
    size_t budget;
    size_t spent;
    unsigned operations;
    unsigned generation;       /* see registry.c */
    unsigned shard;            /* of the mcentral */
    struct stackcache *stacks; /* of an abandoned one: its thread's */
    struct bin bins[CLASS_COUNT];
    struct largecache large;
};

#endif
