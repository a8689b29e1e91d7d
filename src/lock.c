/*
 * The contended half of the mutex: spin for about the time that a critical section takes, then
 * sleep. The three states are those of Drepper's "Futexes Are Tricky" (mutex 2). See lock.h.
 */
#include "lock.h"

#include "os.h"

/* A fork between the look and the wait, in a signal handler, shows at the next look. */
enum { SPINS = 100, LOOK_EVERY_MS = 100 };

static void (*_Atomic before_wait)(void);

void lock_set_before_wait(void (*look)(void)) {
    atomic_store_explicit(&before_wait, look, memory_order_release);
}

static bool spin(struct lock *lock) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_FREE &&
            lock_try(lock)) {
            return true;
        }
        arch_pause();
    }
    return false;
}

SLOW_PATH void lock_acquire_slow(struct lock *lock) {
    if (spin(lock)) {
        return;
    }
    while (atomic_exchange_explicit(&lock->state, LOCK_CONTENDED, memory_order_acquire) !=
           LOCK_FREE) {
        void (*look)(void) = atomic_load_explicit(&before_wait, memory_order_acquire);
        if (look != NULL) {
            look();
        }
        os_futex_wait(&lock->state, LOCK_CONTENDED, LOOK_EVERY_MS);
    }
    atomic_store_explicit(&lock->owner, arch_thread_pointer(), memory_order_relaxed);
}

SLOW_PATH void lock_release_slow(struct lock *lock) {
    os_futex_wake(&lock->state, 1);
}

static bool resetter_holds = true;

void lock_begin_reset(bool holds) {
    resetter_holds = holds;
}

/* A lock taken but not yet owned (the fork came between the two stores) is another thread's: our
 * own thread is at the fork. A signal handler could have interrupted it there; then the owner is
 * unknown and the state alone would free it, which is right too: nothing has been changed yet and
 * the interrupted acquisition only finds its lock free at its release. */
bool lock_reset_in_child(struct lock *lock) {
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_FREE ||
        (resetter_holds && lock_is_mine(lock))) {
        return false;
    }
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
    atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_relaxed);
    return true;
}
