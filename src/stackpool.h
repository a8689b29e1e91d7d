/*
 * Pools of stacks, after stackpool and stackLarge of the Go runtime. A stack has an order: it is
 * STACK_LEAST << order bytes, and may have a guard, an inaccessible page of the system below it.
 * The two make its kind, and each kind has a pool: spans of the page heap cut into stacks, four or
 * more of the small orders, one of the large. A stack keeps its guard as long as its span is the
 * pool's. See README.md.
 *
 * Guards are marks in the page tables where the system knows these. Else each splits a mapping in
 * two, of which a process may have some 65,000 only; so they are counted, and a quarter of that
 * number is the most.
 *
 * Pools know the bounds of stacks and nothing of who uses them. What they are given back wrongly
 * ends the process.
 */
#ifndef GOALLOC_STACKPOOL_H
#define GOALLOC_STACKPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bits.h"
#include "os.h"
#include "sizeclass.h"
#include "span.h"

/*
 * Go's orders: 2, 4, 8 and 16 KiB. Windows runs its handlers of exceptions on the stack that
 * faults, so the least is 4 KiB with pointers of 4 bytes there, and 8 KiB with those of 8.
 */
enum {
    STACK_ORDERS = 4 - (int)sizeof(void *) / 4 * OS_IS_WINDOWS,
    STACK_LEAST = 32768 >> STACK_ORDERS,
};

/* The large orders end with a gigabyte. */
enum {
    STACK_LEVELS = STACK_ORDERS + 16,
    STACK_KINDS = 2 * STACK_LEVELS,
    STACK_SMALL_KINDS = 2 * STACK_ORDERS,
};
#define STACK_MOST ((size_t)STACK_LEAST << (STACK_LEVELS - 1))

/* The kind of stacks of at least `size` bytes, 1 to STACK_MOST. */
ALWAYS_INLINE unsigned stack_kind(size_t size, bool guarded) {
    unsigned order = 0;
    if (size > STACK_LEAST) {
        order = WORD_BITS - (unsigned)__builtin_clzll((size - 1) / STACK_LEAST);
    }
    return 2 * order + guarded;
}

/* The bytes that may be used. */
ALWAYS_INLINE size_t stack_size(unsigned kind) {
    return (size_t)STACK_LEAST << (kind / 2);
}

ALWAYS_INLINE size_t stack_guard(unsigned kind) {
    return kind % 2 != 0 ? os_page_size() : 0;
}

/* From one stack to the next. */
ALWAYS_INLINE size_t stack_stride(unsigned kind) {
    return stack_size(kind) + stack_guard(kind);
}

ALWAYS_INLINE unsigned stack_span_kind(const struct span *span) {
    return span->stack - 1u;
}

/* The lowest usable address of a stack of the span: behind its guard. */
ALWAYS_INLINE uintptr_t stack_low(const struct span *span, unsigned index) {
    return span->base + (index + 1) * (size_t)span->stride - stack_size(stack_span_kind(span));
}

/* The span of the stack whose lowest usable address this is; NULL: there is none. */
static inline struct span *stack_span(const void *low) {
    struct span *span = arena_span((uintptr_t)low);
    if (span == NULL || span->stack == 0) {
        return NULL;
    }
    uint32_t index = object_index(span->magic, (uintptr_t)low - span->base);
    bool is_start = index < span->objects && stack_low(span, index) == (uintptr_t)low;
    return is_start ? span : NULL;
}

/* Is a stack of the span in the pool? Then the caller, who thinks that it is his, freed it twice.
 * The lock is not needed: nobody else may change this bit of a stack that is in use. */
ALWAYS_INLINE bool stack_is_free(const struct span *span, const void *low) {
    uint32_t index = object_index(span->magic, (uintptr_t)low - span->base);
    return __atomic_load_n(&span->bits[0], __ATOMIC_RELAXED) >> index & 1;
}

/*
 * Takes up to `want` stacks of the kind; *clean tells whether all of the last one reads as zero and
 * costs no memory yet. Returns how many; 0: no memory, or no more guards.
 */
unsigned stackpool_take(unsigned kind, void **lows, unsigned want, bool *clean);

/* Gives n stacks of the kind back, each of which stack_span knows. `call` is named if one proves
 * wrong. */
void stackpool_give(unsigned kind, void *const *lows, unsigned n, const char *call);

/* Called once in a while: gives back the memory of stacks, and spans, that were free ever since the
 * last time. */
void stackpool_trim(void);

/* The same for all that is free. */
void stackpool_release(void);

/* Of all kinds. */
struct stackpool_stats {
    size_t out;         /* stacks that are not in the pools */
    size_t out_bytes;   /* usable ones of these */
    size_t free;        /* stacks in the pools */
    size_t free_bytes;  /* usable ones of these */
    size_t guards;      /* those that split mappings */
    size_t guards_most; /* of these */
};
struct stackpool_stats stackpool_get_stats(void);

/* In the child of a fork, after the page heap. */
void stackpool_reset_in_child(void);

/* Do lists, counts and bits agree? For tests. */
bool stackpool_is_valid(void);

#endif
