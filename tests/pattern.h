/*
 * What tests fill blocks with. A block's bytes follow from a number alone, so that any thread and
 * any child can verify a block that it did not make; its first bytes do not depend on its size. By
 * words, since some tests fill gigabytes under an emulator; each is copied without a call of
 * memcpy, which is what the compiler would make of it where it must know nothing of the C library.
 */
#ifndef TESTS_PATTERN_H
#define TESTS_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pattern_word(uint64_t id, size_t index) {
    return (id * 0x9e3779b97f4a7c15u) ^ (index * 0xbf58476d1ce4e5b9u) ^ 0x6a09e667f3bcc908u;
}

static inline void pattern_fill(void *ptr, size_t size, uint64_t id) {
    unsigned char *bytes = ptr;
    size_t words = size / sizeof(uint64_t);
    for (size_t i = 0; i < words; i++) {
        uint64_t word = pattern_word(id, i);
        __builtin_memcpy(bytes + i * sizeof(word), &word, sizeof(word));
    }
    uint64_t last = pattern_word(id, words);
    memcpy(bytes + words * sizeof(last), &last, size % sizeof(last));
}

/* The offset of the first wrong word, or size when every byte is right. */
static inline size_t pattern_mismatch(const void *ptr, size_t size, uint64_t id) {
    const unsigned char *bytes = ptr;
    size_t words = size / sizeof(uint64_t);
    for (size_t i = 0; i < words; i++) {
        uint64_t word = pattern_word(id, i);
        uint64_t found;
        __builtin_memcpy(&found, bytes + i * sizeof(word), sizeof(word));
        if (found != word) {
            return i * sizeof(word);
        }
    }
    uint64_t last = pattern_word(id, words);
    size_t rest = size % sizeof(last);
    return memcmp(bytes + words * sizeof(last), &last, rest) == 0 ? size : size - rest;
}

#endif
