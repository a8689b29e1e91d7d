/*
 * A thread's way into the slow path and out of it, its end, and what a fork leaves of it. The slow
 * path of a thread is not re-entrant: a signal handler that allocates while it runs is sent to
 * emergency memory, and what it frees is put aside until the interrupted operation is over. See
 * README.md.
 */
#ifndef GOALLOC_THREAD_H
#define GOALLOC_THREAD_H

#include <stdbool.h>

#include "mcache.h"

/*
 * Begins a slow operation; false: this thread is in the middle of one. Starts the heap with the
 * process's first and the thread's cache with the thread's first.
 */
bool thread_enter(void);

/* Ends it. Returns the blocks that were put aside meanwhile, linked by their first words. */
void *thread_leave(void);

/* Those that were put aside while other threads ended. */
void *thread_take_orphans(void);

/* The same for a call that only takes locks: forks and signal handlers must find it prepared. */
bool thread_enter_without_cache(void);

/* Puts aside a block that the heap owns. Between a thread_enter that said false and its end. */
void thread_defer(void *block);

/* The calling thread's cache; NULL: it has none, and each object goes from and to its mcentral (the
 * thread is ending, or there was no memory for a cache). */
static inline struct mcache *thread_cache(void) {
    struct mcache *cache = mcache_front.cache;
    return cache == MCACHE_NONE ? NULL : cache;
}

/* What needs a C library that is up: the handling of forks and of thread ends, and the options if
 * the first allocation came before the environment. Runs with the first allocation that finds the
 * library up; the constructor calls it in case there was none. Idempotent. */
void thread_start_with_libc(void);

/* Registers what the child of a fork has to do. Not while a lock may be held that fork wants. */
void thread_handle_forks(void (*in_child)(void));

#endif
