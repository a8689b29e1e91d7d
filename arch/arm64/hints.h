/*
 * Where to ask for the arena on arm64: pure functions, tested on any machine. See src/README.md,
 * "Address hints".
 *
 * A kernel with 4 KiB pages and three table levels has 39 address bits, so the first hints must lie
 * below 1 << 39: 0x0040 in the bits above 32. Darwin maps its shared cache there and leaves
 * 0x0013 << 28.
 */
#ifndef GOALLOC_HINTS_ARM64_H
#define GOALLOC_HINTS_ARM64_H

#include <stdint.h>

static inline uint64_t hint_arm64(unsigned i) {
    return (uint64_t)i << 40 | UINT64_C(0x0040) << 32;
}

static inline uint64_t hint_arm64_darwin(unsigned i) {
    return (uint64_t)i << 40 | UINT64_C(0x0013) << 28;
}

#endif
