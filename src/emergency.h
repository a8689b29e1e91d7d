/*
 * Memory for an allocation that must not enter the heap: one made by a signal handler that
 * interrupted the slow path of its own thread. It takes no lock, so it works wherever the
 * interrupted code stood. Slow and wasteful (powers of two), but what is freed is used again.
 * Thread-safe and async-signal-safe. See README.md.
 */
#ifndef GOALLOC_EMERGENCY_H
#define GOALLOC_EMERGENCY_H

#include <stdbool.h>
#include <stddef.h>

/* At a multiple of align, a power of two, at least 16; NULL: no memory. */
void *emergency_alloc(size_t size, size_t align);

/* False: no block in use begins there. */
bool emergency_free(void *address);

/* 0: likewise. */
size_t emergency_usable_size(const void *address);

/* Is this one of its addresses? False at once as long as there has been no emergency. */
bool emergency_owns(const void *address);

#endif
