/*
 * Where to ask for the arena on x86-64: the i-th address hint, a pure function so that every
 * platform's list can be tested on any machine. See src/README.md, "Address hints".
 *
 * 0x00c0 in the bits above 32 puts the heap in the middle of the user half, where it can grow
 * without meeting a library or a stack, and makes heap pointers easy to spot in a debugger. The
 * bytes c0 00 .. are not valid UTF-8 and far from 0xff, so a pointer read as text, or text read as
 * a pointer, is noticed soon.
 */
#ifndef GOALLOC_HINTS_X86_64_H
#define GOALLOC_HINTS_X86_64_H

#include <stdint.h>

static inline uint64_t hint_x86_64(unsigned i) {
    return (uint64_t)i << 40 | UINT64_C(0x00c0) << 32;
}

/* ThreadSanitizer maps its shadow by address and leaves the heap one window, from 0x00c0 << 32 to
 * 0x00e0 << 32. 0: the list has ended. */
static inline uint64_t hint_x86_64_race(unsigned i) {
    return i < 0x20 ? (uint64_t)i << 32 | UINT64_C(0x00c0) << 32 : 0;
}

#endif
