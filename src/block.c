/* Blocks by their address. See block.h and README.md. */
#include "block.h"

#include <stdatomic.h>
#include <string.h>

#include "fatal.h"

void block_fail_free(const char *call, const void *pointer, size_t size) {
    if (strncmp(call, "free", strlen("free")) == 0) {
        fatal_misuse(call, pointer, "double free of a %zu-byte object", size);
    }
    fatal_misuse(call, pointer, "the %zu-byte object is free already", size);
}

void block_fail_middle(const char *call, const void *pointer, size_t size, const void *start) {
    size_t below = (uintptr_t)start - (uintptr_t)pointer;
    if (pointer < start) {
        fatal_misuse(call, pointer, "wild pointer: %zu bytes below a block of %zu bytes", below,
                     size);
    }
    if (size <= MAX_SMALL_SIZE) {
        fatal_misuse(call, pointer,
                     "pointer into the middle of a %zu-byte object that starts at %p", size, start);
    }
    fatal_misuse(call, pointer, "pointer into the middle of a block of %zu bytes that starts at %p",
                 size, start);
}

static _Noreturn void fail_nothing(const char *call, const void *pointer) {
    fatal_misuse(call, pointer, "double free or wild pointer: no block in use is there");
}

struct span *block_require_span(const char *call, const struct arena *arena, const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    size_t page = arena_page(arena, address);
    while (page > 0 && arena->page_span[page] == NULL) {
        page--;
    }
    struct span *span = arena->page_span[page];
    if (span == NULL || address - arena_address(arena, page) >= span_bytes(span)) {
        fail_nothing(call, pointer);
    }
    const void *start = span_large_start(span);
    size_t size = span_block_size(span);
    bool stack = span->stack != 0;
    if (stack || (span->class == 0 && pointer != start)) {
        atomic_thread_fence(memory_order_acquire);
        if (arena->page_span[page] != span) { /* freed by another thread, just now */
            fail_nothing(call, pointer);
        }
        if (stack) {
            fatal_misuse(call, pointer, "a stack: goalloc_stack_free is for those");
        }
        block_fail_middle(call, pointer, size, start);
    }
    return span;
}

void block_fail(const char *call, const struct arena *arena, const void *pointer) {
    const struct span *span = block_require_span(call, arena, pointer);
    size_t size = span_block_size(span);
    if (span->class == 0) {
        block_fail_free(call, pointer, size); /* by another thread, just now */
    }
    uint32_t index = span_index(span, (uintptr_t)pointer);
    block_fail_middle(call, pointer, size, (void *)span_object(span, index));
}
