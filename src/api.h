/*
 * The entry points' semantics in one place: goalloc.h under the goalloc_ names (api.c), and the
 * standard names (shim.c, shim_cxx.c) are both made of these. What only passes arguments on is in
 * alloc.h and resize.h. See README.md.
 */
#ifndef GOALLOC_API_H
#define GOALLOC_API_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base.h"
#include "bits.h"
#include "resize.h"

/* The bytes of an array; false and errno ENOMEM: too many. */
static inline bool api_array_bytes(size_t count, size_t size, size_t *bytes) {
    if (__builtin_mul_overflow(count, size, bytes)) {
        errno = ENOMEM;
        return false;
    }
    return true;
}

static inline void *api_aligned_alloc(size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(alignment, size);
}

/* With the C library's, any alignment is rounded up to a power of two, and 0 will do. */
static inline void *api_memalign(size_t alignment, size_t size) {
    bool rounds = alignment > 1 && !is_power_of_two(alignment);
    size_t power = rounds ? (size_t)2 << bits_highest(alignment) : max_size(alignment, 1);
    return api_aligned_alloc(power, size);
}

int api_posix_memalign(void **out, size_t alignment, size_t size);
void *api_valloc(size_t size);
void *api_pvalloc(size_t size);
int api_trim(size_t pad);
int api_malloc_info(int options, FILE *stream);

#endif
