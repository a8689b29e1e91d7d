/*
 * What the fuzz targets share. A target reads its input as a sequence of operations, does each both
 * to the module and to a model of it, and ends the process where the two disagree. Linked with
 * libFuzzer, or with main.c, which makes its inputs up. When an input is used up it reads as zero.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* abort, which both libFuzzer and main.c take for a finding. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *next;
    size_t left;
};

/* A number of so many bytes. */
static inline size_t take(struct input *input, unsigned bytes) {
    size_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | (input->left > 0 ? *input->next : 0);
        input->next += input->left > 0;
        input->left -= input->left > 0;
    }
    return value;
}

/* From 0 to below, for below up to 65536. */
static inline size_t take_below(struct input *input, size_t below) {
    return take(input, below <= 256 ? 1 : 2) % below;
}

/* Up to `length` bytes as they are; returns how many there were. */
static inline size_t take_bytes(struct input *input, char *out, size_t length) {
    size_t i = 0;
    for (; i < length && input->left > 0; i++) {
        out[i] = (char)take(input, 1);
    }
    return i;
}

#endif
