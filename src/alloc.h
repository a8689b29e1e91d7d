/*
 * The allocator as the entry points see it: which of small, large and aligned a request is, and the
 * two fast paths, which are all that a warm malloc or free runs. See README.md, "The way of a
 * malloc" and "The way of a free".
 *
 * Failures return NULL with errno ENOMEM. Success leaves errno, freeing always does. `call` is the
 * name for messages.
 */
#ifndef GOALLOC_ALLOC_H
#define GOALLOC_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "mcache.h"
#include "sizeclass.h"
#include "thread.h"

void *alloc_malloc_slow(size_t size);
void alloc_free_slow(void *pointer);

/* alloc_malloc_slow for callers that are not the entry point: frame is
 * __builtin_frame_address(0) where a recorded stack is to start. */
void *alloc_malloc_from(size_t size, const void *frame);

/* A block that check.h owns. */
void alloc_free_checked(const char *call, void *pointer, const void *frame);

/* Everything here runs on every call; each miss is a tail call. The tests freeze its length.
 * NULL: alloc_malloc_slow may have one. */
ALWAYS_INLINE void *alloc_try(size_t size) {
    if (UNLIKELY(size > MAX_SMALL_SIZE)) {
        return NULL;
    }
    unsigned class = size_class(size);
    uintptr_t top = mcache_front.top[class];
    void *object = mcache_slot(top)[-1];
    if (LIKELY(object != NULL)) {
        mcache_front.top[class] = top - sizeof(void *);
    }
    return object;
}

ALWAYS_INLINE void *alloc_malloc(size_t size) {
    void *object = alloc_try(size);
    return LIKELY(object != NULL) ? object : alloc_malloc_slow(size);
}

/* False: a magazine that is full, anything that is no small object in the first `limit` bytes of
 * the first arena, an object of a span that drains, or one that was freed last already. */
ALWAYS_INLINE bool alloc_try_free_below(size_t limit, void *pointer) {
    size_t offset = (uintptr_t)pointer - arenas[0].base;
    if (UNLIKELY(offset >= limit)) {
        return false;
    }
    unsigned class = arena_page_class(&arenas[0], offset >> PAGE_SHIFT);
    uintptr_t top = mcache_front.top[class];
    char *base = mcache_base();
    if (UNLIKELY(*(void **)(void *)&base[top] == NULL)) {
        return false;
    }
    base = mcache_separate(base);
    if (UNLIKELY(*(void **)(void *)&base[top - sizeof(void *)] == pointer)) {
        return false;
    }
    *(void **)(void *)&base[top] = pointer;
    mcache_front.top[class] = top + sizeof(void *);
    return true;
}

ALWAYS_INLINE bool alloc_try_free(void *pointer) {
    return alloc_try_free_below(arenas[0].limit, pointer);
}

ALWAYS_INLINE void alloc_free(void *pointer) {
    if (UNLIKELY(!alloc_try_free(pointer))) {
        alloc_free_slow(pointer);
    }
}

/* count * size bytes, zero; overflow is ENOMEM. */
void *alloc_calloc(size_t count, size_t size);

/* align is a power of two. */
void *alloc_aligned(size_t align, size_t size);

/* Slow operations of a thread between two looks at the clock. A miss stands for the many calls that
 * a magazine serves, so it always looks, but for the first few of 256 operations. */
enum { ALLOC_LOOK_EVERY = 8 };

void alloc_leave_and_look(void);

/* Blocks that are linked by their first words. */
void alloc_free_all(void *block);

/* Ends a slow operation that thread_enter began, and that may be a magazine's miss: frees what
 * signal handlers have put aside, and does the work that is due now and then. */
ALWAYS_INLINE void alloc_leave_after(bool miss) {
    unsigned operations = ++mcache_front.operations;
    if (miss ? operations >= ALLOC_LOOK_EVERY : operations % ALLOC_LOOK_EVERY == 0) {
        alloc_leave_and_look();
        return;
    }
    void *deferred = thread_leave();
    if (UNLIKELY(deferred != NULL)) {
        alloc_free_all(deferred);
    }
}

ALWAYS_INLINE void alloc_leave(void) {
    alloc_leave_after(false);
}

/* Between the two: what is free beyond the threads' caches goes back to the page heap. */
void alloc_release(void);

/* Before the process ends: gives back what the calling thread caches, so that it is verified. Where
 * there is no cache yet, nothing happens. */
void alloc_end(void);

/* Gives everything free back but `keep` bytes; the bytes given back. */
size_t alloc_trim(size_t keep);

#endif
