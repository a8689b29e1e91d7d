/*
 * A thread's cache of stacks in front of the pools: per small kind up to 32 KiB of them, filled and
 * emptied by half (Go's figures), and the stack, if any, that the thread has retired while it ran
 * on it. See README.md.
 *
 * All of this is the calling thread's own, and no lock is taken but the pools'.
 */
#ifndef GOALLOC_STACKCACHE_H
#define GOALLOC_STACKCACHE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stackpool.h"

enum { STACKCACHE_BYTES = 32768, STACKCACHE_SLOTS = STACKCACHE_BYTES / STACK_LEAST };

/* The stacks are in [slot, top), slot <= top <= end; bottom is NULL, so that an empty bin has no
 * last one. */
struct stack_bin {
    void **top;
    void **end;
    void *bottom;
    void *slot[STACKCACHE_SLOTS];
};
static_assert(offsetof(struct stack_bin, slot) ==
                  offsetof(struct stack_bin, bottom) + sizeof(void *),
              "what is below the first slot");

struct stackcache {
    void *retired;        /* nothing may touch it before the thread runs elsewhere */
    size_t guarded_least; /* a guarded stack is no smaller than a page */
    struct stack_bin bins[STACK_SMALL_KINDS];
};

/* An empty cache; with `keeps` false it holds no stack but a retired one. NULL: no memory. */
struct stackcache *stackcache_create(bool keeps);

/* Gives everything back, the cache, too. A retired stack on which this runs is left in use. NULL
 * does nothing. */
void stackcache_destroy(struct stackcache *cache);

/* The order of the two stores in each is that in which a fork or a look from another thread finds
 * no stack twice. False: no stack; no room, or the last one is this one. */
ALWAYS_INLINE bool stackcache_pop(struct stackcache *cache, unsigned kind, void **low) {
    struct stack_bin *bin = &cache->bins[kind];
    void **top = bin->top;
    *low = top[-1];
    if (UNLIKELY(*low == NULL)) {
        return false;
    }
    bin->top = top - 1;
    return true;
}

ALWAYS_INLINE bool stackcache_push(struct stackcache *cache, unsigned kind, void *low) {
    struct stack_bin *bin = &cache->bins[kind];
    void **top = bin->top;
    if (UNLIKELY(top == bin->end || top[-1] == low)) {
        return false;
    }
    *top = low;
    atomic_signal_fence(memory_order_release);
    bin->top = top + 1;
    return true;
}

/* What pop and push do when they cannot: a stack by way of the pool (NULL: none to be had), and
 * `low` to where there is room, or the end of the process. */
void *stackcache_refill(struct stackcache *cache, unsigned kind);
void stackcache_overflow(struct stackcache *cache, unsigned kind, void *low, const char *call);

/* Frees the retired stack, unless this runs on it. */
void stackcache_drain(struct stackcache *cache);

/* Gives all stacks back to the pools. */
void stackcache_flush(struct stackcache *cache);

/* Does the caller run on this stack? */
bool stackcache_runs_on(const void *low);

/* Adds what the cache of some thread holds, a snapshot, to the two. */
void stackcache_count(const struct stackcache *cache, size_t *stacks, size_t *bytes);

/* In the child of a fork. */
void stackcache_reset_in_child(void);

#endif
