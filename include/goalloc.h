/*
 * goalloc: a malloc replacement with a size-class front end over a page heap.
 *
 * libgoalloc.so and libgoalloc.a define the standard names (malloc, free, operator new ...), so a
 * program needs this header only for what the standard names cannot do. libgoalloc-noimpl defines
 * nothing but the goalloc_ names below: link it to use this heap beside another malloc.
 *
 * Common to every function here, unless its comment says otherwise:
 *   - sizes and alignments are in bytes;
 *   - any thread may call it at any time, and a block may be freed by any thread; none of them is
 *     async-signal-safe;
 *   - a failing call returns NULL (or the error) and sets errno; a succeeding call leaves errno;
 *   - memory is uninitialised unless stated;
 *   - a block aligned to 16 bytes or more comes from any request above 8 bytes, one aligned to 8
 *     from a request of 8 bytes or less;
 *   - misuse of the heap (double free, a pointer that no call here returned) ends the process with
 *     one line on stderr that names the call, the pointer and the likely cause, where it is seen:
 *     LD_PRELOAD.md says what is seen when, and with which option.
 */
#ifndef GOALLOC_H
#define GOALLOC_H

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GOALLOC_VERSION_MAJOR 0
#define GOALLOC_VERSION_MINOR 1
#define GOALLOC_VERSION_PATCH 0

#if defined(__GNUC__)
#define GOALLOC_API __attribute__((visibility("default")))
#else
#define GOALLOC_API
#endif

/* The version of the library that is running, for example "0.1.0". */
GOALLOC_API const char *goalloc_version(void);

/*
 * At least size bytes; a unique pointer when size is 0.
 * ENOMEM: no memory, or size is above PTRDIFF_MAX.
 */
GOALLOC_API void *goalloc_malloc(size_t size);

/* count * size bytes, all zero. ENOMEM also when the product overflows. */
GOALLOC_API void *goalloc_calloc(size_t count, size_t size);

/*
 * Resizes a block, keeping the bytes that fit; it may move. ptr NULL is malloc. size 0 frees ptr
 * and returns NULL, as in glibc. On failure ptr is untouched. A size up to goalloc_usable_size(ptr)
 * and above three quarters of it never moves the block. A smaller one may move it, to save memory;
 * where there is none to move it to, it stays. Neither holds in checked modes 2 and 3.
 */
GOALLOC_API void *goalloc_realloc(void *ptr, size_t size);

/* goalloc_realloc(ptr, count * size); ENOMEM when the product overflows. */
GOALLOC_API void *goalloc_reallocarray(void *ptr, size_t count, size_t size);

/* Frees a block; NULL is ignored. Keeps errno. */
GOALLOC_API void goalloc_free(void *ptr);

/* C23: as goalloc_free; size and alignment are those of the request. A size that the block cannot
 * have ends the process where that is seen: for large blocks always, for small ones sometimes, in
 * checked modes always. */
GOALLOC_API void goalloc_free_sized(void *ptr, size_t size);
GOALLOC_API void goalloc_free_aligned_sized(void *ptr, size_t alignment, size_t size);

/*
 * Aligned blocks; alignment is a power of two up to half the address space.
 * goalloc_posix_memalign returns the error (EINVAL, ENOMEM), does not touch errno, leaves *out on
 * failure, and also wants a multiple of sizeof(void *). The others set errno: EINVAL when alignment
 * is no power of two, but goalloc_memalign, as the C library's, rounds it up to one, 0 to 1.
 * goalloc_valloc aligns to the system's page; goalloc_pvalloc also rounds size up to a page.
 */
GOALLOC_API int goalloc_posix_memalign(void **out, size_t alignment, size_t size);
GOALLOC_API void *goalloc_aligned_alloc(size_t alignment, size_t size);
GOALLOC_API void *goalloc_memalign(size_t alignment, size_t size);
GOALLOC_API void *goalloc_valloc(size_t size);
GOALLOC_API void *goalloc_pvalloc(size_t size);

/*
 * The bytes that may be used at ptr: at least the size asked for, the same for the life of the
 * block; 0 for NULL. With GOALLOC_CHECK=2, and of guarded blocks, just the size asked for.
 */
GOALLOC_API size_t goalloc_usable_size(const void *ptr);

/*
 * Gives every free page back to the system now: the calling thread's cache, the shared caches, the
 * page heap, and what is free between blocks in use; pad free bytes of the page heap may stay.
 * Returns 1 when memory was given back, else 0.
 */
GOALLOC_API int goalloc_trim(size_t pad);

/* A snapshot of the heap, in bytes. Parts are read one after another while other threads run. */
struct goalloc_stats {
    size_t allocated;    /* in blocks that the program holds, rounded up to their size class */
    size_t active;       /* in pages of blocks, also cached ones, and of stacks, also free ones */
    size_t metadata;     /* the allocator's own tables and descriptors */
    size_t resident;     /* active + free pages still backed by memory + metadata, without what was
                            given back inside of active pages */
    size_t mapped;       /* opened for reading and writing, backed or not */
    size_t retained;     /* mapped and free, given back to the system or never touched */
    size_t thread_cache; /* free blocks of up to 32 KiB in the caches of threads */
    size_t central_free; /* free blocks in spans, what is left behind the last block of each span,
                            and free stacks */
    size_t free_pages;   /* free pages still backed by memory, and larger blocks kept for reuse */
    size_t threads;      /* threads that have a cache */
};
GOALLOC_API void goalloc_get_stats(struct goalloc_stats *out);

/* Writes the statistics as text to stderr, without allocating. */
GOALLOC_API void goalloc_print_stats(void);

/* glibc's malloc_info: XML to stream; options must be 0, else EINVAL is returned. 0 on success. */
GOALLOC_API int goalloc_info(int options, FILE *stream);

#ifdef __cplusplus
}
#endif

#endif
