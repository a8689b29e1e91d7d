/*
 * The background thread. It is created when there is something to give back for the first time and
 * looks at the clock ten times a second as long as the free memory changes. Otherwise it sleeps,
 * and only looks once a second whether it is the last thread: a process whose main thread has left
 * by pthread_exit ends with the last one. It never allocates. See background.h and README.md.
 */
#include "background.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "largecache.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "os.h"
#include "scavenge.h"
#include "sparse.h"
#include "stackpool.h"
#include "thread.h"

enum {
    TICK_MS = 100,
    TICKS_MOST = 30, /* without a change: longer than two periods of the scavenger */
    SLEEP_MS = 1000,
};

#define WORTH_A_THREAD MIB

enum state { FORBIDDEN, ABSENT, RUNNING, WAITING };
static _Atomic uint32_t state = FORBIDDEN;

static bool change_state(uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong(&state, &from, to);
}

static bool do_step(void) {
    bool more = mcentral_trim_some();
    return sparse_punch_idle() || more;
}

bool background_work(void) {
    struct scavenge_due due = scavenge(os_milliseconds());
    bool more = due.steps > 0;
    if (due.period) {
        mcentral_begin_trim();
        stackpool_trim();
        largecache_trim();
    }
    for (unsigned i = 0; i < due.steps && more; i++) {
        more = do_step();
    }
    return more;
}

/* Returns the free memory that no longer changes. */
static size_t tick_until_quiet(void) {
    size_t before = mheap_free_dirty();
    for (int ticks = 0; ticks < TICKS_MOST; ticks++) {
        os_futex_wait(&state, RUNNING, TICK_MS);
        bool more = background_work();
        size_t now = mheap_free_dirty();
        ticks = now == before && !more ? ticks : 0;
        before = now;
    }
    return before;
}

static void sleep_until_woken(void) {
    while (atomic_load(&state) == WAITING && !os_is_last_thread()) {
        os_futex_wait(&state, WAITING, SLEEP_MS);
    }
}

static void *run(void *unused) {
    if (thread_enter_without_cache()) { /* forks are to know that there are two threads */
        thread_leave();
    }
    do {
        size_t quiet = tick_until_quiet();
        atomic_store(&state, WAITING);
        if (mheap_free_dirty() == quiet) { /* else something was freed while nobody could wake us */
            sleep_until_woken();
        }
        atomic_store(&state, RUNNING);
    } while (!os_is_last_thread());
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    return unused;
}

/* The child of a fork does not have the thread. */
static void reset_in_child(void) {
    atomic_store(&state, ABSENT);
}

/* It must not run the program's signal handlers. A refusal leaves errno alone: free comes here. */
static bool create(void) {
    int saved = errno;
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool created = pthread_create(&thread, &attributes, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    errno = saved;
    return created;
}

void background_allow(void) {
    if (options.background && change_state(FORBIDDEN, ABSENT)) {
        thread_handle_forks(reset_in_child);
    }
}

void background_wake(void) {
    if (LIKELY(!options.background)) {
        return;
    }
    uint32_t now = atomic_load_explicit(&state, memory_order_relaxed);
    if (now == WAITING && change_state(WAITING, RUNNING)) {
        os_futex_wake(&state, 1);
    } else if (now == ABSENT && mheap_free_dirty() >= WORTH_A_THREAD &&
               change_state(ABSENT, RUNNING) && !create()) {
        atomic_store(&state, FORBIDDEN);
    }
}
