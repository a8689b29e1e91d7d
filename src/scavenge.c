/*
 * The pace of giving back. See scavenge.h and README.md.
 *
 * Pages that are given back and then used again cost a page fault each, as much as some hundred
 * calls of malloc, so nothing goes back inside a phase of the program: only what lay free for a
 * whole period. That is known without a look at any page: it is the least number of free dirty
 * pages that there was in the period. It goes back in small steps, so that no call takes long and
 * the system calls take some percent of one processor at the most.
 */
#include "scavenge.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base.h"
#include "mheap.h"

#define PERIOD_MS 500
#define PACE_MS 4                /* between two looks that find something due */
#define BYTES_PER_MS (256 * KIB) /* some 7 % of a processor while there is much to give back */
#define MOST_BYTES (64 * MIB)    /* some 5 ms: the longest that a call may take */
#define LEAST_BYTES (256 * KIB)  /* less is not worth the calls */
enum { CALLS_MOST = 1024, STEPS_MOST = 64 };

/* In a cache line of its own: all threads read it all the time. */
static struct {
    _Atomic uint64_t last_look;
    _Atomic uint64_t last_period;
    _Atomic unsigned periods;
    _Atomic unsigned steps; /* of the last look that are not done yet */
    _Atomic size_t due;     /* bytes that were idle over the last period and are not back yet */
} __attribute__((aligned(CACHE_LINE))) pace;

/* The milliseconds since the last time that this was not 0, or that it was called first, for one
 * caller each time; 0: fewer than `interval`. A process that has just begun has nothing idle. */
static uint64_t elapsed(_Atomic uint64_t *last, uint64_t now, uint64_t interval) {
    uint64_t then = atomic_load_explicit(last, memory_order_relaxed);
    if (now < then + interval ||
        !atomic_compare_exchange_strong_explicit(last, &then, now, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return 0;
    }
    return then != 0 ? now - then : 0;
}

/* One for each millisecond, each for a call of its own, so that none takes long. Where there were
 * fewer calls than steps, the next one makes up for it. Threads that come at the same time may do
 * one twice. */
static unsigned steps_due(uint64_t time) {
    unsigned left = atomic_load_explicit(&pace.steps, memory_order_relaxed);
    if (time > 0) {
        unsigned steps = (unsigned)min_size(time, STEPS_MOST);
        atomic_store_explicit(&pace.steps, steps - 1, memory_order_relaxed);
        return left + 1;
    }
    if (left > 0) {
        atomic_store_explicit(&pace.steps, left - 1, memory_order_relaxed);
    }
    return left > 0;
}

struct scavenge_due scavenge(uint64_t now) {
    uint64_t time = elapsed(&pace.last_look, now, PACE_MS);
    unsigned steps = steps_due(time);
    if (time == 0) {
        return (struct scavenge_due){steps, false};
    }
    bool period = elapsed(&pace.last_period, now, PERIOD_MS) != 0;
    if (period) {
        size_t idle = mheap_idle();
        atomic_fetch_add_explicit(&pace.periods, 1, memory_order_relaxed);
        atomic_store_explicit(&pace.due, idle >= LEAST_BYTES ? idle : 0, memory_order_relaxed);
    }
    size_t rest = atomic_load_explicit(&pace.due, memory_order_relaxed);
    size_t dirty = mheap_get_stats().free_dirty;
    size_t most = time < MOST_BYTES / BYTES_PER_MS ? time * BYTES_PER_MS : MOST_BYTES;
    size_t step = min_size(min_size(rest, dirty), most);
    if (step > 0) {
        size_t released = mheap_release(dirty - step, CALLS_MOST);
        atomic_store_explicit(&pace.due, rest - min_size(rest, released), memory_order_relaxed);
    }
    return (struct scavenge_due){steps, period};
}

unsigned scavenge_periods(void) {
    return atomic_load_explicit(&pace.periods, memory_order_relaxed);
}
