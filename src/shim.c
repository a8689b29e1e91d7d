/*
 * The standard names. Only this file and shim_cxx.c define symbols that replace the C library's;
 * everything else can be linked beside another malloc. Each function but
 * reallocarray is the same code as its goalloc_ twin. See README.md.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "goalloc.h"
#include "init.h"
#include "print.h"
#include "stats.h"

#define EXPORT __attribute__((visibility("default")))

/* A static link takes from an archive only what is referred to; the constructor is wanted, too. */
__attribute__((used)) static void (*const keep_constructor)(void) = init_library;

/* Names that no header declares, or not all C libraries' headers. */
EXPORT void cfree(void *ptr);
EXPORT void free_sized(void *ptr, size_t size);
EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size);

EXPORT void *malloc(size_t size) {
    return alloc_malloc(size);
}

EXPORT void free(void *ptr) {
    alloc_free(ptr);
}

EXPORT void *calloc(size_t count, size_t size) {
    return alloc_calloc(count, size);
}

EXPORT void *realloc(void *ptr, size_t size) {
    return resize_realloc(ptr, size);
}

/* A program may bring malloc, calloc, realloc and free, and no more. This calls its realloc then,
 * as the C library's does. */
EXPORT void *reallocarray(void *ptr, size_t count, size_t size) {
    size_t bytes;
    return api_array_bytes(count, size, &bytes) ? realloc(ptr, bytes) : NULL;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size) {
    return api_posix_memalign(out, alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return api_aligned_alloc(alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size) {
    return api_memalign(alignment, size);
}

EXPORT void *valloc(size_t size) {
    return api_valloc(size);
}

EXPORT void *pvalloc(size_t size) {
    return api_pvalloc(size);
}

EXPORT size_t malloc_usable_size(void *ptr) {
    return resize_usable_size(ptr);
}

EXPORT void cfree(void *ptr) {
    alloc_free(ptr);
}

EXPORT void free_sized(void *ptr, size_t size) {
    goalloc_free_sized(ptr, size);
}

EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size) {
    goalloc_free_aligned_sized(ptr, alignment, size);
}

EXPORT int malloc_trim(size_t pad) {
    return api_trim(pad);
}

/* glibc's tuning knobs have no counterpart here; a program that turns one is told that it
 * worked, as it would check no more than that. */
EXPORT int mallopt(int parameter, int value) {
    (void)value;
    return parameter == M_MXFAST || (parameter <= M_TRIM_THRESHOLD && parameter >= M_ARENA_MAX);
}

EXPORT struct mallinfo2 mallinfo2(void) {
    struct goalloc_stats stats;
    stats_get(&stats);
    return (struct mallinfo2){
        .arena = stats.mapped,
        .ordblks = 1,
        .uordblks = stats.allocated,
        .fordblks = stats.mapped > stats.allocated ? stats.mapped - stats.allocated : 0,
        .keepcost = stats.free_pages,
    };
}

/* The old struct counts in int: what does not fit wraps around, as in glibc. */
EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){
        .arena = (int)info.arena,
        .ordblks = (int)info.ordblks,
        .uordblks = (int)info.uordblks,
        .fordblks = (int)info.fordblks,
        .keepcost = (int)info.keepcost,
    };
}

EXPORT int malloc_info(int options, FILE *stream) {
    return api_malloc_info(options, stream);
}

EXPORT void malloc_stats(void) {
    stats_print(STDERR);
}

/* Other objects of a static glibc refer to these; were they missing, its malloc would be linked
 * too, and every name above be defined twice. */
EXPORT void *__libc_malloc(size_t size);
EXPORT void __libc_free(void *ptr);
EXPORT void *__libc_calloc(size_t count, size_t size);
EXPORT void *__libc_realloc(void *ptr, size_t size);
EXPORT void *__libc_memalign(size_t alignment, size_t size);
EXPORT void *__libc_valloc(size_t size);
EXPORT void *__libc_pvalloc(size_t size);
EXPORT int __posix_memalign(void **out, size_t alignment, size_t size);

void *__libc_malloc(size_t size) {
    return alloc_malloc(size);
}

void __libc_free(void *ptr) {
    alloc_free(ptr);
}

void *__libc_calloc(size_t count, size_t size) {
    return alloc_calloc(count, size);
}

void *__libc_realloc(void *ptr, size_t size) {
    return resize_realloc(ptr, size);
}

void *__libc_memalign(size_t alignment, size_t size) {
    return api_memalign(alignment, size);
}

void *__libc_valloc(size_t size) {
    return api_valloc(size);
}

void *__libc_pvalloc(size_t size) {
    return api_pvalloc(size);
}

int __posix_memalign(void **out, size_t alignment, size_t size) {
    return api_posix_memalign(out, alignment, size);
}
