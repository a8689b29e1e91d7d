/*
 * Entering and leaving the slow path; the end of threads; forks. See thread.h and README.md.
 *
 * Nothing is locked before a fork. Handlers that take the heap's locks hang when fork is called in
 * a signal handler that interrupted the heap, and when another thread allocates while it holds a
 * lock that the C library's fork takes after them. Instead the child mends what it finds half done:
 * every lock knows its owner, so it can tell a lock of a thread that is not there, and every
 * structure is changed in an order from which it can be rebuilt, at the worst without the object
 * that was on its way.
 */
#include "thread.h"

#include <pthread.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "arch.h"
#include "arena.h"
#include "fatal.h"
#include "guard.h"
#include "largecache.h"
#include "lock.h"
#include "magazine.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "os.h"
#include "persistent.h"
#include "quarantine.h"
#include "registry.h"
#include "stackcache.h"
#include "stackpool.h"

static struct lock start_lock = LOCK_INIT;
static atomic_bool started;
static bool checks_from_start;
static atomic_bool exit_handled;
static pthread_key_t exit_key;

/* ---- forks ---- */

_Alignas(CACHE_LINE) _Atomic(_Atomic char *) thread_fork_mark;

static void reset_locks(bool holds) {
    lock_begin_reset(holds);
    lock_reset_in_child(&start_lock);
    persistent_reset_in_child();
    mheap_reset_in_child();
    guard_reset_in_child();
    quarantine_reset_in_child();
    largecache_reset_in_child();
    magazine_reset_in_child();
    mcentral_reset_in_child();
    stackpool_reset_in_child();
    stackcache_reset_in_child();
    mcache_reset_in_child();
    registry_begin_in_child();
}

/*
 * The first thread of the child that comes here frees the locks, while the others wait: none of
 * them can hold one yet, but for the one that forked in the middle of its slow path. That one is
 * the child's first thread, and alone knows which cache is its own: it sees to the list of them.
 * Signal handlers must not come here meanwhile.
 */
static SLOW_PATH void mend(_Atomic char *mark) {
    bool busy = thread_is_busy();
    char expected = THREAD_WIPED;
    thread_set_busy(true);
    if (atomic_compare_exchange_strong(mark, &expected, THREAD_MENDING)) {
        reset_locks(busy);
        atomic_store_explicit(mark, THREAD_UNLISTED, memory_order_release);
    }
    while (atomic_load_explicit(mark, memory_order_acquire) == THREAD_MENDING) {
        arch_pause();
    }
    if (atomic_load_explicit(mark, memory_order_relaxed) == THREAD_UNLISTED &&
        os_is_first_thread()) {
        registry_reset_in_child(thread_cache(), busy);
        atomic_store_explicit(mark, THREAD_MENDED, memory_order_release);
    }
    thread_set_busy(busy);
}

static void mend_if_forked(void) {
    _Atomic char *mark = atomic_load_explicit(&thread_fork_mark, memory_order_acquire);
    if (mark != NULL && atomic_load_explicit(mark, memory_order_acquire) != THREAD_MENDED) {
        mend(mark);
    }
}

/* pthread_atfork without the copy of it that each library gets, on a page that nothing else here
 * needs. The handle names the library; the compiler's start files define it, which the shared
 * library is linked without. */
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier)
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                      void *library);
__attribute__((weak)) HIDDEN void *__dso_handle;
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

void thread_handle_forks(void (*in_child)(void)) {
    __register_atfork(NULL, NULL, in_child, __dso_handle);
}

/* Where the system wipes nothing, as Linux before 4.14, a handler does. Elsewhere there is none: it
 * makes up to 100 KiB of the C library's pages resident, and to register one waits for a lock that
 * fork holds, which may wait for a lock of stdio's that the caller holds. */
static _Atomic char unwiped = THREAD_MENDED;

static void wipe_in_child(void) {
    atomic_store_explicit(&unwiped, THREAD_WIPED, memory_order_relaxed);
    mend_if_forked();
}

/* As long as there is one thread, no other can hold a lock, and the mark costs a page. Threads that
 * come at the same time each map one, and the last counts. */
static SLOW_PATH void mark_process(void) {
    lock_set_before_wait(mend_if_forked);
    _Atomic char *mark = os_map_wiped_by_fork(os_page_size());
    if (mark != NULL) {
        atomic_store_explicit(mark, THREAD_MENDED, memory_order_relaxed);
        atomic_store_explicit(&thread_fork_mark, mark, memory_order_release);
    } else {
        atomic_store_explicit(&thread_fork_mark, &unwiped, memory_order_release);
        thread_handle_forks(wipe_in_child); /* may allocate */
    }
}

/* The process id would not do for a test: the child of a vfork has its own, but shares the
 * memory. */
static void check_for_fork(void) {
    if (atomic_load_explicit(&thread_fork_mark, memory_order_relaxed) != NULL) {
        mend_if_forked();
    } else if (!__libc_single_threaded) {
        mark_process();
    }
}

/* May run in the dynamic linker, before any constructor: only system calls and the auxiliary
 * vector, nothing of libc that could allocate. */
static void start(void) {
    lock_acquire(&start_lock);
    if (!atomic_load_explicit(&started, memory_order_relaxed)) {
        options_load(environ);
        checks_from_start = options.check != CHECK_OFF;
        arena_check_assumptions(os_page_size());
        atomic_store_explicit(&started, true, memory_order_release);
    }
    lock_release(&start_lock);
}

/* pthread_setspecific may allocate; by then the cache is there and the slow path is free. */
static void handle_exit(struct mcache *cache) {
    if (atomic_load_explicit(&exit_handled, memory_order_acquire)) {
        pthread_setspecific(exit_key, cache);
    }
}

/* ---- the end of a thread ---- */

/* What signal handlers put aside while a thread ended, for any other one to free. */
static _Atomic(void *) orphans;

static void push(_Atomic(void *) *list, void *block) {
    void *first = atomic_load_explicit(list, memory_order_relaxed);
    do {
        *(void **)block = first;
    } while (!atomic_compare_exchange_weak_explicit(list, &first, block, memory_order_release,
                                                    memory_order_relaxed));
}

static void *take_all(_Atomic(void *) *list) {
    if (LIKELY(atomic_load_explicit(list, memory_order_relaxed) == NULL)) {
        return NULL;
    }
    return atomic_exchange_explicit(list, NULL, memory_order_acquire);
}

void *thread_take_orphans(void) {
    return take_all(&orphans);
}

/* Destructors of other keys may still allocate and free: without a cache from here on, so there is
 * nothing that a later round would have to give back. */
static void end_thread(void *argument) {
    struct mcache *cache = argument;
    thread_set_busy(true);
    stackcache_destroy(mcache_front.stacks);
    mcache_front.stacks = NULL;
    mcache_destroy(cache);
    mcache_front.cache = MCACHE_NONE;
    for (void *block = thread_leave(), *next; block != NULL; block = next) {
        next = *(void **)block;
        push(&orphans, block);
    }
}

/* ---- beginning ---- */

/* Once the heap has its tables, and a thread its cache, it is too late for a checked mode. */
static void load_options_late(void) {
    bool late = atomic_load_explicit(&started, memory_order_relaxed) && !checks_from_start;
    options_load(environ);
    if (options.check != CHECK_OFF && late) {
        options.check = CHECK_OFF;
        warn("CHECK has no effect: a library allocated before the environment was there");
    }
}

static void create_exit_key(void) {
    lock_acquire(&start_lock);
    if (!atomic_load_explicit(&exit_handled, memory_order_relaxed)) {
        load_options_late();
        options_protect();
        bool created = pthread_key_create(&exit_key, end_thread) == 0;
        atomic_store_explicit(&exit_handled, created, memory_order_release);
    }
    lock_release(&start_lock);
}

void thread_start_with_libc(void) {
    if (environ == NULL && !atomic_load_explicit(&exit_handled, memory_order_relaxed)) {
        return; /* clearenv makes it NULL, too */
    }
    if (!atomic_load_explicit(&exit_handled, memory_order_acquire)) {
        create_exit_key();
    }
    if (thread_cache() != NULL) {
        handle_exit(thread_cache());
    }
}

static SLOW_PATH void attach(void) {
    thread_set_busy(true);
    if (!atomic_load_explicit(&started, memory_order_acquire)) {
        start();
    }
    mcache_front.cache =
        options_check_every() ? mcache_create_hidden() : mcache_create(&mcache_front);
    thread_set_busy(false);
    thread_start_with_libc();
}

/* ---- the border of the slow path ---- */

SLOW_PATH bool thread_enter_slow(void) {
    if (thread_is_busy()) {
        return false;
    }
    check_for_fork();
    if (mcache_front.cache == NULL) {
        attach();
    }
    thread_set_busy(true);
    return true;
}

bool thread_enter_without_cache(void) {
    if (thread_is_busy()) {
        return false;
    }
    check_for_fork();
    thread_set_busy(true);
    return true;
}

void *thread_take_deferred(void) {
    return take_all(&mcache_front.deferred);
}

void thread_defer(void *block) {
    push(&mcache_front.deferred, block);
}
