/*
 * Which block an address belongs to, with the message where there is none. See README.md.
 */
#ifndef GOALLOC_BLOCK_H
#define GOALLOC_BLOCK_H

#include "arena.h"
#include "span.h"

/* The span of a block that lies in an arena; ends the process if there is no such block. */
struct span *block_require_span(const char *call, const struct arena *arena, const void *pointer);

/* The same, and for small objects, too, only where one starts. */
struct span *block_require(const char *call, const struct arena *arena, const void *pointer);

/* The block at pointer is free. */
_Noreturn void block_fail_free(const char *call, const void *pointer, size_t size);

/* The pointer lies behind the start of a block of so many bytes. */
_Noreturn void block_fail_middle(const char *call, const void *pointer, size_t size,
                                 const void *start);

#endif
