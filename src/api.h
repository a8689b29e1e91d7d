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
#include "resize.h"

/* The bytes of an array; false and errno ENOMEM: too many. */
static inline bool api_array_bytes(size_t count, size_t size, size_t *bytes) {
    if (__builtin_mul_overflow(count, size, bytes)) {
        errno = ENOMEM;
        return false;
    }
    return true;
}

/* aligned_alloc and memalign. */
static inline void *api_memalign(size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(alignment, size);
}

int api_posix_memalign(void **out, size_t alignment, size_t size);
void *api_valloc(size_t size);
void *api_pvalloc(size_t size);
int api_trim(size_t pad);
int api_malloc_info(int options, FILE *stream);

#endif
