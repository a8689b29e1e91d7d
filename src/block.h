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

#endif
