/*
 * Random numbers and fill patterns of the stress test. A block's bytes follow from its id alone,
 * so any thread and any child can verify a block that it did not make.
 */
#ifndef TESTS_STRESS_PATTERN_H
#define TESTS_STRESS_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct random {
    uint64_t state;
};

/* splitmix64. */
static inline uint64_t random_next(struct random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline size_t random_below(struct random *random, size_t bound) {
    return (size_t)(random_next(random) % bound);
}

static inline uint64_t pattern_word(uint64_t id, size_t index) {
    return (id * 0x9e3779b97f4a7c15u) ^ (index * 0xbf58476d1ce4e5b9u) ^ 0x6a09e667f3bcc908u;
}

static inline void pattern_fill(void *ptr, size_t size, uint64_t id) {
    unsigned char *bytes = ptr;
    size_t words = size / sizeof(uint64_t);
    for (size_t i = 0; i < words; i++) {
        uint64_t word = pattern_word(id, i);
        memcpy(bytes + i * sizeof(word), &word, sizeof(word));
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
        if (memcmp(bytes + i * sizeof(word), &word, sizeof(word)) != 0) {
            return i * sizeof(word);
        }
    }
    uint64_t last = pattern_word(id, words);
    size_t rest = size % sizeof(last);
    return memcmp(bytes + words * sizeof(last), &last, rest) == 0 ? size : size - rest;
}

#endif
