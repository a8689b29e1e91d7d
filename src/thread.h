/*
 * A thread's way into the slow path and out of it, its end, and what a fork leaves of it. The slow
 * path of a thread is not re-entrant: a signal handler that allocates while it runs is sent to
 * emergency memory, and what it frees is put aside until the interrupted operation is over. See
 * README.md.
 */
#ifndef GOALLOC_THREAD_H
#define GOALLOC_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/single_threaded.h>

#include "mcache.h"

/* WIPED in the child of a fork, by the system, until it begins to mend the heap. UNLISTED: but for
 * the list of caches. */
enum thread_mark { THREAD_WIPED, THREAD_MENDING, THREAD_UNLISTED, THREAD_MENDED };

/* NULL: there was one thread so far. Each slow operation reads it, so no lock is in its cache
 * line. */
extern HIDDEN _Atomic(_Atomic char *) thread_fork_mark;

bool thread_enter_slow(void);
void *thread_take_deferred(void);

ALWAYS_INLINE bool thread_is_busy(void) {
    return atomic_load_explicit(&mcache_front.busy, memory_order_relaxed);
}

ALWAYS_INLINE void thread_set_busy(bool busy) {
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&mcache_front.busy, busy, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Is this the child of a fork that has not begun to use the heap, or a process that has threads now
 * and must prepare for one? */
ALWAYS_INLINE bool thread_must_check_forks(void) {
    _Atomic char *mark = atomic_load_explicit(&thread_fork_mark, memory_order_acquire);
    return mark == NULL ? !__libc_single_threaded
                        : atomic_load_explicit(mark, memory_order_acquire) != THREAD_MENDED;
}

/*
 * Begins a slow operation; false: this thread is in the middle of one. Starts the heap with the
 * process's first and the thread's cache with the thread's first.
 */
ALWAYS_INLINE bool thread_enter(void) {
    if (UNLIKELY(thread_is_busy() || thread_must_check_forks() || mcache_front.cache == NULL)) {
        return thread_enter_slow();
    }
    thread_set_busy(true);
    return true;
}

/* Ends it. Returns the blocks that were put aside meanwhile, linked by their first words. */
ALWAYS_INLINE void *thread_leave(void) {
    thread_set_busy(false);
    bool none = atomic_load_explicit(&mcache_front.deferred, memory_order_relaxed) == NULL;
    return LIKELY(none) ? NULL : thread_take_deferred();
}

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

/* What needs a C library that is up: the handling of thread ends, and the options if the first
 * allocation came before the environment. Runs with the first allocation that finds the library up;
 * the constructor calls it in case there was none. Idempotent. */
void thread_start_with_libc(void);

/* Registers what the child of a fork has to do. Not while a lock may be held that fork wants. */
void thread_handle_forks(void (*in_child)(void));

#endif
