/*
 * What the tests of this directory share: the set-up that cmocka's header wants, size lists, fill
 * patterns, a sentinel for errno and the resident size. Nothing here allocates.
 */
#ifndef TESTS_API_SUPPORT_H
#define TESTS_API_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "names.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* No errno that a library would set by itself. */
#define ERRNO_SENTINEL 12321

/* Asserts that evaluating the statement leaves errno alone. */
#define KEEPS_ERRNO(statement)                                                                     \
    do {                                                                                           \
        errno = ERRNO_SENTINEL;                                                                    \
        statement;                                                                                 \
        assert_int_equal(errno, ERRNO_SENTINEL);                                                   \
    } while (0)

/* Asserts that the expression yields NULL and sets errno to the value. */
#define FAILS_WITH(value, expression)                                                              \
    do {                                                                                           \
        errno = ERRNO_SENTINEL;                                                                    \
        assert_null(expression);                                                                   \
        assert_int_equal(errno, value);                                                            \
    } while (0)

/* The value, hidden from the compiler, which would otherwise warn about or fold absurd sizes. */
size_t opaque(size_t value);

/* The pointer, hidden likewise: the compiler must assume that the block is used. */
void *keep(void *ptr);

/* Fills size bytes with a pattern that depends on seed, and asserts that it is still there. */
void fill(void *ptr, size_t size, unsigned seed);
void assert_filled(const void *ptr, size_t size, unsigned seed);
void assert_zero(const void *ptr, size_t size);

bool is_aligned(const void *ptr, size_t alignment);

/* Resident bytes of this process. */
size_t resident_bytes(void);

/* Bytes in live blocks as the library reports them. */
size_t allocated_bytes(void);

#endif
