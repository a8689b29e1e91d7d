/*
 * What depends on how large a block is: its usable size, frees that name it, and realloc. See
 * README.md, "The way of a realloc".
 */
#ifndef GOALLOC_RESIZE_H
#define GOALLOC_RESIZE_H

#include "alloc.h"

/* 0 for NULL. */
size_t resize_usable_size(const void *pointer);

void resize_free_sized_slow(void *pointer, size_t size, size_t align);

/* The caller knows the request's size and alignment (1: the default). They are looked at only off
 * the fast path. */
ALWAYS_INLINE void resize_free_sized(void *pointer, size_t size, size_t align) {
    if (UNLIKELY(!alloc_try_free(pointer))) {
        resize_free_sized_slow(pointer, size, align);
    }
}

/* As realloc: NULL and errno ENOMEM leave the block as it is, and a size of 0 frees it. */
void *resize_realloc(void *pointer, size_t size);

#endif
