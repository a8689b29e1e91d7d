/*
 * The names under test. Every test of this directory is built twice from one source: with the
 * standard names against libgoalloc, and with API_NOIMPL and the goalloc_ names against
 * libgoalloc-noimpl, where the C library's malloc stays in place beside it. Tests call the
 * macros below and never a name itself.
 */
#ifndef TESTS_API_NAMES_H
#define TESTS_API_NAMES_H

#include <goalloc.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef API_NOIMPL

#define API_LIBRARY "libgoalloc-noimpl.so"
#define MALLOC goalloc_malloc
#define CALLOC goalloc_calloc
#define REALLOC goalloc_realloc
#define REALLOCARRAY goalloc_reallocarray
#define FREE goalloc_free
#define FREE_SIZED goalloc_free_sized
#define FREE_ALIGNED_SIZED goalloc_free_aligned_sized
#define POSIX_MEMALIGN goalloc_posix_memalign
#define ALIGNED_ALLOC goalloc_aligned_alloc
#define MEMALIGN goalloc_memalign
#define VALLOC goalloc_valloc
#define PVALLOC goalloc_pvalloc
#define USABLE_SIZE goalloc_usable_size
#define TRIM goalloc_trim
#define INFO goalloc_info
#define PRINT_STATS goalloc_print_stats

#else

#define API_LIBRARY "libgoalloc.so"
#define MALLOC malloc
#define CALLOC calloc
#define REALLOC realloc
#define REALLOCARRAY reallocarray
#define FREE free
#define FREE_SIZED free_sized
#define FREE_ALIGNED_SIZED free_aligned_sized
#define POSIX_MEMALIGN posix_memalign
#define ALIGNED_ALLOC aligned_alloc
#define MEMALIGN memalign
#define VALLOC valloc
#define PVALLOC pvalloc
#define USABLE_SIZE malloc_usable_size
#define TRIM malloc_trim
#define INFO malloc_info
#define PRINT_STATS malloc_stats

#ifdef __cplusplus
extern "C" {
#endif

/* C23 and dropped or internal names of glibc: no header of glibc 2.36 declares them. */
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);
void cfree(void *ptr);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);

#ifdef __cplusplus
}
#endif

#endif
#endif
