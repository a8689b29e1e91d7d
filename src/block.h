/*
 * Which block an address belongs to, with the message where there is none. See README.md.
 */
#ifndef GOALLOC_BLOCK_H
#define GOALLOC_BLOCK_H

#include "arena.h"
#include "span.h"

/* The span of an address in an arena; ends the process if there is no block, or if it lies behind
 * the start of a large one, or in its pages below. */
struct span *block_require_span(const char *call, const struct arena *arena, const void *pointer);

/* There is no block at pointer: says why. */
_Noreturn void block_fail(const char *call, const struct arena *arena, const void *pointer);

/* The span of a block that starts at pointer; ends the process if none does. The page tables have
 * only the first page of a large block. */
static inline struct span *block_require(const char *call, const struct arena *arena,
                                         const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    struct span *span = arena->page_span[arena_page(arena, address)];
    bool starts =
        span != NULL && (span->class != 0 ? span_is_object(span, address)
                                          : span->stack == 0 && pointer == span_large_start(span));
    if (UNLIKELY(!starts)) {
        block_fail(call, arena, pointer);
    }
    return span;
}

/* The block at pointer is free. */
_Noreturn void block_fail_free(const char *call, const void *pointer, size_t size);

/* The pointer lies behind the start of a block of so many bytes, or below it in its pages. */
_Noreturn void block_fail_middle(const char *call, const void *pointer, size_t size,
                                 const void *start);

#endif
