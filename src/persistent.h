/*
 * Memory for the allocator's own descriptors, never freed: a bump pointer through chunks that come
 * straight from the system. User memory is never next to it. See README.md.
 */
#ifndef GOALLOC_PERSISTENT_H
#define GOALLOC_PERSISTENT_H

#include <stddef.h>

/* size bytes, zero, at a multiple of align (a power of two up to a system page); NULL: no memory.
 * Takes its own lock, the last in the order. */
void *persistent_alloc(size_t size, size_t align);

/* The bytes handed out so far. */
size_t persistent_bytes(void);

/* In the child of a fork. */
void persistent_reset_in_child(void);

#endif
