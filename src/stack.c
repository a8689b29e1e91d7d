/*
 * The goalloc_stack_ names of goalloc_stack.h. Allocating and freeing a small stack works on the
 * thread's cache and leaves for a slow path like malloc's when that cannot serve it, or when a
 * retired stack is to be freed first. See README.md.
 */
#include "goalloc_stack.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "fatal.h"
#include "mcache.h"
#include "options.h"
#include "os.h"
#include "stackcache.h"
#include "stackpool.h"
#include "stats.h"
#include "thread.h"

static struct goalloc_stack stack_at(void *low, unsigned kind) {
    return (struct goalloc_stack){low, (char *)low + stack_size(kind)};
}

static struct goalloc_stack no_stack(int error) {
    errno = error;
    return (struct goalloc_stack){NULL, NULL};
}

/* Within the slow path. Where every call is checked it is for what is retired only. A thread that
 * is ending gets none. NULL: each stack goes from and to its pool. */
static struct stackcache *my_cache(void) {
    if (mcache_front.stacks == NULL && thread_cache() != NULL) {
        mcache_front.stacks = stackcache_create(!options_check_every());
    }
    if (mcache_front.stacks != NULL) {
        stackcache_drain(mcache_front.stacks);
    }
    return mcache_front.stacks;
}

/* ---- allocate ---- */

static void *take(unsigned kind, bool *clean) {
    struct stackcache *cache = my_cache();
    void *low = NULL;
    if (cache != NULL && kind < STACK_SMALL_KINDS) {
        return stackcache_pop(cache, kind, &low) ? low : stackcache_refill(cache, kind);
    }
    return stackpool_take(kind, &low, 1, clean) > 0 ? low : NULL;
}

static void zero(void *low, unsigned kind) {
    bool large = kind >= STACK_SMALL_KINDS && stack_size(kind) >= os_page_size();
    if (!large || !os_discard(low, stack_size(kind))) {
        memset(low, 0, stack_size(kind));
    }
}

/* There is no memory, or no guard: whatever lies about goes back. */
static void release(void) {
    if (mcache_front.stacks != NULL) {
        stackcache_flush(mcache_front.stacks);
    }
    alloc_release();
}

static SLOW_PATH struct goalloc_stack alloc_slow(size_t size, unsigned flags) {
    bool guarded = (flags & GOALLOC_STACK_GUARD) != 0, clean = false;
    if (size == 0 || size > STACK_MOST || flags > (GOALLOC_STACK_GUARD | GOALLOC_STACK_ZERO)) {
        return no_stack(EINVAL);
    }
    if (!thread_enter()) {
        return no_stack(ENOMEM);
    }
    unsigned kind = stack_kind(guarded ? max_size(size, os_page_size()) : size, guarded);
    void *low = take(kind, &clean);
    if (low == NULL) {
        release();
        low = take(kind, &clean);
    }
    alloc_leave();
    if (low == NULL) {
        return no_stack(ENOMEM);
    }
    if ((flags & GOALLOC_STACK_ZERO) != 0 && !clean) {
        zero(low, kind);
    }
    return stack_at(low, kind);
}

struct goalloc_stack goalloc_stack_alloc(size_t size, unsigned flags) {
    struct stackcache *cache = mcache_front.stacks;
    bool small = size - 1 < (size_t)STACK_LEAST << (STACK_ORDERS - 1);
    if (UNLIKELY(!small || cache == NULL || cache->retired != NULL ||
                 flags > GOALLOC_STACK_GUARD)) {
        return alloc_slow(size, flags);
    }
    unsigned kind = stack_kind(flags != 0 ? max_size(size, cache->guarded_least) : size, flags);
    void *low;
    if (UNLIKELY(kind >= STACK_SMALL_KINDS || !stackcache_pop(cache, kind, &low))) {
        return alloc_slow(size, flags);
    }
    return stack_at(low, kind);
}

/* ---- free ---- */

/* Begins a slow operation on a stack, which it checks. */
static unsigned enter(const char *call, void *low) {
    struct span *span = stack_span(low);
    if (span == NULL) {
        fatal_misuse(call, low, "double free, or not the low end of a stack");
    }
    if (stack_is_free(span, low)) {
        fatal_misuse(call, low, "double free of a stack of %zu bytes",
                     stack_size(stack_span_kind(span)));
    }
    if (!thread_enter()) {
        fatal_misuse(call, low, "called in a signal handler that interrupted this library");
    }
    return stack_span_kind(span);
}

static void give(void *low, unsigned kind, const char *call) {
    struct stackcache *cache = my_cache();
    if (cache != NULL && cache->retired == low) {
        fatal_misuse(call, low, "the stack is retired already");
    }
    if (cache == NULL || kind >= STACK_SMALL_KINDS) {
        stackpool_give(kind, &low, 1, call);
    } else if (!stackcache_push(cache, kind, low)) {
        stackcache_overflow(cache, kind, low, call);
    }
}

static SLOW_PATH void free_slow(void *low) {
    if (low != NULL) {
        unsigned kind = enter("goalloc_stack_free", low);
        give(low, kind, "goalloc_stack_free");
        alloc_leave();
    }
}

void goalloc_stack_free(void *low) {
    struct stackcache *cache = mcache_front.stacks;
    const struct span *span = stack_span(low);
    if (UNLIKELY(span == NULL || cache == NULL || cache->retired != NULL ||
                 stack_is_free(span, low))) {
        free_slow(low);
        return;
    }
    unsigned kind = stack_span_kind(span);
    if (UNLIKELY(kind >= STACK_SMALL_KINDS || !stackcache_push(cache, kind, low))) {
        free_slow(low);
    }
}

/* Without memory for a cache, a stack that is running is lost: there is nowhere to note it. */
void goalloc_stack_retire(void *low) {
    if (low == NULL) {
        return;
    }
    unsigned kind = enter("goalloc_stack_retire", low);
    if (!stackcache_runs_on(low)) {
        give(low, kind, "goalloc_stack_retire");
    } else if (my_cache() != NULL) {
        if (mcache_front.stacks->retired != NULL) {
            fatal_misuse("goalloc_stack_retire", low, "the stack is retired already");
        }
        mcache_front.stacks->retired = low;
    }
    alloc_leave();
}

void goalloc_stack_flush(void) {
    if (mcache_front.stacks != NULL && thread_enter()) {
        stackcache_flush(mcache_front.stacks);
        alloc_leave();
    }
}

/* ---- statistics ---- */

void goalloc_stack_get_stats(struct goalloc_stack_stats *out) {
    stats_get_stacks(out);
}
