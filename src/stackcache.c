/* The caches of stacks. See stackcache.h and README.md. */
#include "stackcache.h"

#include <string.h>

#include "fatal.h"
#include "fixalloc.h"

static struct fixalloc pool = FIXALLOC_INIT(sizeof(struct stackcache), CACHE_LINE);

struct stackcache *stackcache_create(bool keeps) {
    struct stackcache *cache = fixalloc_alloc(&pool);
    if (cache == NULL) {
        return NULL;
    }
    memset(cache, 0, sizeof *cache);
    cache->guarded_least = os_page_size();
    for (unsigned kind = 0; kind < STACK_SMALL_KINDS; kind++) {
        struct stack_bin *bin = &cache->bins[kind];
        bin->top = bin->slot;
        bin->end = bin->slot + (keeps ? STACKCACHE_BYTES / stack_size(kind) : 0);
    }
    return cache;
}

void stackcache_destroy(struct stackcache *cache) {
    if (cache != NULL) {
        stackcache_flush(cache);
        fixalloc_free(&pool, cache);
    }
}

void *stackcache_refill(struct stackcache *cache, unsigned kind) {
    struct stack_bin *bin = &cache->bins[kind];
    unsigned half = (unsigned)(bin->end - bin->slot + 1) / 2;
    void *low = NULL;
    bool clean;
    bin->top = bin->slot + stackpool_take(kind, bin->slot, half, &clean);
    return stackcache_pop(cache, kind, &low) || stackpool_take(kind, &low, 1, &clean) > 0 ? low
                                                                                          : NULL;
}

/* The older half, and all of one. */
static void empty_half(struct stack_bin *bin, unsigned kind, const char *call) {
    size_t count = (size_t)(bin->top - bin->slot), n = (count + 1) / 2;
    stackpool_give(kind, bin->slot, (unsigned)n, call);
    bin->top -= n;
    memmove(bin->slot, bin->slot + n, (count - n) * sizeof bin->slot[0]);
}

void stackcache_overflow(struct stackcache *cache, unsigned kind, void *low, const char *call) {
    struct stack_bin *bin = &cache->bins[kind];
    if (bin->top[-1] == low) {
        fatal_misuse(call, low, "double free of a stack of %zu bytes", stack_size(kind));
    }
    if (bin->top > bin->slot) {
        empty_half(bin, kind, call);
    }
    if (!stackcache_push(cache, kind, low)) {
        stackpool_give(kind, &low, 1, call);
    }
}

bool stackcache_runs_on(const void *low) {
    const struct span *span = stack_span(low);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return span != NULL && here - (uintptr_t)low < stack_size(stack_span_kind(span));
}

void stackcache_drain(struct stackcache *cache) {
    void *low = cache->retired;
    if (low == NULL || stackcache_runs_on(low)) {
        return;
    }
    unsigned kind = stack_span_kind(stack_span(low));
    cache->retired = NULL;
    if (kind >= STACK_SMALL_KINDS) {
        stackpool_give(kind, &low, 1, "goalloc_stack_retire");
    } else if (!stackcache_push(cache, kind, low)) {
        stackcache_overflow(cache, kind, low, "goalloc_stack_retire");
    }
}

void stackcache_flush(struct stackcache *cache) {
    stackcache_drain(cache);
    for (unsigned kind = 0; kind < STACK_SMALL_KINDS; kind++) {
        struct stack_bin *bin = &cache->bins[kind];
        if (bin->top > bin->slot) {
            stackpool_give(kind, bin->slot, (unsigned)(bin->top - bin->slot), "goalloc_stack_free");
            bin->top = bin->slot;
        }
    }
}

__attribute__((no_sanitize("thread"))) void stackcache_count(const struct stackcache *cache,
                                                             size_t *stacks, size_t *bytes) {
    for (unsigned kind = 0; cache != NULL && kind < STACK_SMALL_KINDS; kind++) {
        const struct stack_bin *bin = &cache->bins[kind];
        size_t count = (size_t)(*(void **const volatile *)&bin->top - bin->slot);
        count = min_size(count, STACKCACHE_SLOTS); /* of a cache that is in use no more: anything */
        *stacks += count;
        *bytes += count * stack_size(kind);
    }
}

void stackcache_reset_in_child(void) {
    fixalloc_reset_in_child(&pool);
}
