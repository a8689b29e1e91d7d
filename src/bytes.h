/*
 * The bytes that checked modes put around blocks and into freed ones, and the search for the one
 * that somebody wrote. See README.md.
 */
#ifndef GOALLOC_BYTES_H
#define GOALLOC_BYTES_H

#include <stddef.h>

/* Odd, not 0, no letter, and as addresses not canonical. */
enum { BYTES_CANARY = 0xb1, BYTES_POISON = 0xdb };

/* The first of n bytes that is another one; NULL: none. */
const char *bytes_first_other(const char *from, size_t n, int byte);

/* Ends the process unless all of [start, end) but the block of size bytes is canary. */
void bytes_require_canary(const char *call, const char *block, size_t size, const char *start,
                          const char *end);

#endif
