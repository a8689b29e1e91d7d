/* Counting and finding bits in 64-bit words. See README.md. */
#ifndef GOALLOC_BITS_H
#define GOALLOC_BITS_H

#include <stdint.h>

#include "base.h"

enum { WORD_BITS = 64 };

/* The lowest set bit's index; word is not 0. */
ALWAYS_INLINE unsigned bits_lowest(uint64_t word) {
    return (unsigned)__builtin_ctzll(word);
}

/* The highest one's; word is not 0. */
ALWAYS_INLINE unsigned bits_highest(uint64_t word) {
    return WORD_BITS - 1 - (unsigned)__builtin_clzll(word);
}

/* The run of ones that begins at bit 0. */
ALWAYS_INLINE unsigned bits_trailing_ones(uint64_t word) {
    return ~word == 0 ? WORD_BITS : (unsigned)__builtin_ctzll(~word);
}

/* The run of ones that ends at bit 63. */
ALWAYS_INLINE unsigned bits_leading_ones(uint64_t word) {
    return ~word == 0 ? WORD_BITS : (unsigned)__builtin_clzll(~word);
}

ALWAYS_INLINE unsigned bits_count(uint64_t word) {
    return (unsigned)__builtin_popcountll(word);
}

/* Ones in [from, from + count), count >= 1, from + count <= 64. */
ALWAYS_INLINE uint64_t bits_mask(unsigned from, unsigned count) {
    return ~UINT64_C(0) >> (WORD_BITS - count) << from;
}

/* A bit for each place where a run of n ones begins inside the word, 1 <= n <= 64. */
static inline uint64_t bits_runs(uint64_t word, unsigned n) {
    for (unsigned have = 1; have < n && word != 0;) {
        unsigned step = have < n - have ? have : n - have;
        word &= word >> step; /* a bit stays when the next `have + step` are ones */
        have += step;
    }
    return word;
}

/* The lowest of them; 64: there is none. */
static inline unsigned bits_find_run(uint64_t word, unsigned n) {
    word = bits_runs(word, n);
    return word == 0 ? WORD_BITS : bits_lowest(word);
}

/* The longest run of ones in the word, or `known` (0 to 64) if that is longer. */
static inline unsigned bits_longest_run(uint64_t word, unsigned known) {
    if (known == WORD_BITS) {
        return known;
    }
    for (word = bits_runs(word, known + 1); word != 0; word &= word >> 1) {
        known++;
    }
    return known;
}

#endif
