/*
 * The few words that every file shares: branch hints, alignment arithmetic, and the constants that
 * shape the heap. See README.md.
 */
#ifndef GOALLOC_BASE_H
#define GOALLOC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define SLOW_PATH __attribute__((noinline, cold))
#define NO_INLINE __attribute__((noinline))

/* On declarations of data that other files use: without it the compiler reads their addresses from
 * the global offset table, -fvisibility=hidden notwithstanding. */
#define HIDDEN __attribute__((visibility("hidden")))

/* For constants that every process reads: they share a page with what the dynamic linker writes to
 * and then seals, and no page of other constants need be resident. */
#define HOT_CONSTANT __attribute__((section(".data.rel.ro.hot")))

/* For arrays that most processes use the beginning of: the linker puts them behind all other
 * variables, which so share a page. */
#define WIDE_ARRAY __attribute__((common))

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* The heap's own page, whatever the system's is: small enough for a process with few objects, large
 * enough for 256 objects of 32 bytes. */
#define PAGE_SHIFT 13
#define PAGE_SIZE ((size_t)1 << PAGE_SHIFT)

/* Cache lines of two neighbouring cores never share one of these (the prefetcher pairs lines). */
#define CACHE_LINE 64

ALWAYS_INLINE bool is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

/* n rounded to a multiple of align, a power of two; the caller knows that it does not overflow. */
ALWAYS_INLINE size_t align_up(size_t n, size_t align) {
    return (n + align - 1) & ~(align - 1);
}

ALWAYS_INLINE size_t align_down(size_t n, size_t align) {
    return n & ~(align - 1);
}

ALWAYS_INLINE size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

ALWAYS_INLINE size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The whole pages that n bytes need; n is at most PTRDIFF_MAX. */
ALWAYS_INLINE size_t pages_for(size_t n) {
    return (n + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

#endif
