/*
 * The heap's mutex: 16 bytes, no allocation, a futex only when contended. It knows its owner, so
 * that the child of a fork can tell the locks of threads that it does not have from those that its
 * own thread holds (fork called in a signal handler that interrupted the allocator). Hold it for
 * some hundred instructions, never over a call out of the allocator. The order in which locks are
 * taken is in README.md.
 */
#ifndef GOALLOC_LOCK_H
#define GOALLOC_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "arch.h"
#include "base.h"

enum { LOCK_FREE, LOCK_HELD, LOCK_CONTENDED };

struct lock {
    _Atomic uint32_t state;
    _Atomic uintptr_t owner; /* the holder's thread pointer; 0 when free */
};

#define LOCK_INIT                                                                                  \
    { LOCK_FREE, 0 }

/* The child of a fork must find out, before it waits, that the owner is not there. */
void lock_set_before_wait(void (*look)(void));

void lock_acquire_slow(struct lock *lock);
void lock_release_slow(struct lock *lock);

/* Free -> held. While the C library knows of one thread only, plain accesses do: an atomic exchange
 * waits until the program's own stores have reached the cache, which costs more than the rest. */
ALWAYS_INLINE bool lock_set_held(struct lock *lock) {
    uint32_t expected = LOCK_FREE;
    if (__libc_single_threaded) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) != LOCK_FREE) {
            return false;
        }
        atomic_store_explicit(&lock->state, LOCK_HELD, memory_order_relaxed);
        return true;
    }
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, LOCK_HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Returns the state before. A thread may have been created since the lock was taken, by a signal
 * handler, which POSIX does not let it do; then this one takes the slower way. A handler that does
 * so between the two accesses here, or those above, is not provided for. */
ALWAYS_INLINE uint32_t lock_set_free(struct lock *lock) {
    if (__libc_single_threaded) {
        atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_relaxed);
        return LOCK_HELD;
    }
    return atomic_exchange_explicit(&lock->state, LOCK_FREE, memory_order_release);
}

ALWAYS_INLINE bool lock_try(struct lock *lock) {
    if (!lock_set_held(lock)) {
        return false;
    }
    atomic_store_explicit(&lock->owner, arch_thread_pointer(), memory_order_relaxed);
    return true;
}

ALWAYS_INLINE void lock_acquire(struct lock *lock) {
    if (UNLIKELY(!lock_try(lock))) {
        lock_acquire_slow(lock);
    }
}

ALWAYS_INLINE void lock_release(struct lock *lock) {
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
    if (UNLIKELY(lock_set_free(lock) == LOCK_CONTENDED)) {
        lock_release_slow(lock);
    }
}

ALWAYS_INLINE bool lock_is_mine(struct lock *lock) {
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == arch_thread_pointer();
}

/*
 * In the child of a fork, before the following: may the calling thread hold locks? One that it has
 * started since does not, but may have the thread pointer of one that held some in the parent.
 */
void lock_begin_reset(bool holds);

/*
 * In the child of a fork: frees the lock if a thread that is not here held it; true means that what
 * it guards may have been left half changed and must be repaired.
 */
bool lock_reset_in_child(struct lock *lock);

#endif
