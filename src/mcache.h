/*
 * A thread's cache: per class a loaded magazine, which malloc and free work on without a lock, and
 * a spare one behind it, so that a program that goes back and forth over the border of one does not
 * go to the mcentral each time, nor, since the two share their objects when they change places,
 * from one to the other. And a few large blocks, see largecache.h. See README.md.
 *
 * struct mcache_front is the part in thread-local storage. A top is where the next free object of
 * the class will be put: the end of the stack in the loaded magazine, as an offset from the end of
 * mcache_no_magazine, which is shared, read-only, empty and full. So the zero that thread-local
 * storage starts with means "no magazine" without a test on the fast path, even before the dynamic
 * linker has set it up. Class 0, which stands for "no small object", keeps that top for ever, so a
 * free of anything else takes the slow path by itself.
 *
 * A magazine is empty when the slot below its top holds NULL, and full when its top is a multiple
 * of MAGAZINE_BYTES.
 */
#ifndef GOALLOC_MCACHE_H
#define GOALLOC_MCACHE_H

#include <stdint.h>

#include "base.h"
#include "magazine.h"
#include "mcache_struct.h"

#define MCACHE_NONE ((struct mcache *)1)

extern HIDDEN _Thread_local struct mcache_front mcache_front
    __attribute__((tls_model("initial-exec")));

/* A magazine of capacity 0: all NULL. */
extern HIDDEN HOT_CONSTANT const struct magazine mcache_no_magazine;

/* What tops are relative to. */
ALWAYS_INLINE char *mcache_base(void) {
    char *base = (char *)(uintptr_t)(&mcache_no_magazine + 1);
    /* Keeps the compiler from adding a top to it once for several uses: with the sums left to the
     * addressing modes, free is an instruction shorter. */
    __asm__("" : "+r"(base));
    return base;
}

/* The slot that a top stands for. */
ALWAYS_INLINE void **mcache_slot(uintptr_t top) {
    return (void **)(void *)&mcache_base()[top];
}

ALWAYS_INLINE uintptr_t mcache_top(void **slot) {
    return (uintptr_t)slot - (uintptr_t)mcache_base();
}

/* A cache for the calling thread, empty; NULL: no memory for it. Registered for the statistics. */
struct mcache *mcache_create(struct mcache_front *front);

/* The same with tops that the fast paths do not see: in checked modes the thread's own stay 0. */
struct mcache *mcache_create_hidden(void);

/* What the fast paths do, for such a cache or none (NULL). random picks one of the free objects; 0:
 * the last one. */
void *mcache_pop(struct mcache *cache, unsigned class, uint32_t random);
void mcache_push(struct mcache *cache, unsigned class, void *object, const char *call);

/* Gives back every object and the cache itself. */
void mcache_destroy(struct mcache *cache);

/* In these two, NULL for the cache is a thread that has none: the object comes from or goes to its
 * span. The loaded magazine is empty: gets another object. NULL: no memory. */
void *mcache_refill(struct mcache *cache, unsigned class);

/* The loaded magazine is full, or its last object is this one: makes room and keeps the object, or
 * ends the process. `call` is named in the message. */
void mcache_overflow(struct mcache *cache, unsigned class, void *object, const char *call);

/* Gives back every object. */
void mcache_flush(struct mcache *cache);

/* In the child of a fork. */
void mcache_reset_in_child(void);

#endif
