/*
 * A thread's cache: per class a magazine, which malloc and free work on without a lock. When it is
 * empty the mcentral fills half of it, and when it is full half goes back, the objects that were
 * freed longest ago, so a program that goes up and down by a few does not come here each time. And
 * a few large blocks, see largecache.h. See README.md.
 *
 * struct mcache_front is the part in thread-local storage. A top is where the next free object of
 * the class will be put: the end of the stack in the loaded magazine, as an offset from that of
 * mcache_no_magazine, which is shared, read-only, empty and full. So the zero that thread-local
 * storage starts with means "no magazine" without a test on the fast path, even before the dynamic
 * linker has set it up. Class 0, which stands for "no small object", keeps that top for ever, so a
 * free of anything else takes the slow path by itself.
 */
#ifndef GOALLOC_MCACHE_H
#define GOALLOC_MCACHE_H

#include <stdint.h>

#include "base.h"
#include "mcache_struct.h"

#define MCACHE_NONE ((struct mcache *)1)

extern HIDDEN _Thread_local struct mcache_front mcache_front
    __attribute__((tls_model("initial-exec")));

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
