/* Blocks by their address. See block.h and README.md. */
#include "block.h"

#include "fatal.h"

struct span *block_require_span(const char *call, const struct arena *arena, const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    size_t page = arena_page(arena, address);
    struct span *span = arena->page_span[page];
    if (span == NULL) {
        while (page > 0 && arena->page_span[page] == NULL) {
            page--;
        }
        span = arena->page_span[page];
        if (span == NULL || address - span->base >= span_bytes(span)) {
            fatal_misuse(call, pointer, "double free or wild pointer: no block in use is there");
        }
    }
    if (span->stack != 0) {
        fatal_misuse(call, pointer, "a stack: goalloc_stack_free is for those");
    }
    if (span->class == 0 && span->base != address) {
        fatal_misuse(call, pointer,
                     "pointer into the middle of a block of %zu bytes that starts at %p",
                     span_bytes(span), (void *)span->base);
    }
    return span;
}

struct span *block_require(const char *call, const struct arena *arena, const void *pointer) {
    struct span *span = block_require_span(call, arena, pointer);
    if (span->class == 0 || span_is_object(span, (uintptr_t)pointer)) {
        return span;
    }
    uint32_t index = span_index(span, (uintptr_t)pointer);
    fatal_misuse(call, pointer, "pointer into the middle of a %u-byte object that starts at %p",
                 class_to_size[span->class], (void *)span_object(span, index));
}
