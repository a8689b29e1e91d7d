/*
 * Stacks by frame pointers: on x86-64 and arm64 alike, two words at the frame pointer, the caller's
 * frame pointer and the return address. Code that is built without them makes a stack shorter, or
 * gives it a wrong entry, and no more: each frame must lie above the one before, not far from it,
 * and where the system says that it can be read. See README.md.
 */
#ifndef GOALLOC_UNWIND_H
#define GOALLOC_UNWIND_H

#include <stdint.h>

enum { BACKTRACE_MOST = 16 };

/* Return addresses, the innermost first; the rest is 0. */
struct backtrace {
    uintptr_t pc[BACKTRACE_MOST];
};

/* frame is __builtin_frame_address(0) of a function that is still running. */
void unwind(const void *frame, struct backtrace *stack);

/* The same for code that was interrupted at pc. */
void unwind_from(uintptr_t pc, const void *frame, struct backtrace *stack);

/* One line an address, with the file and the offset in it that addr2line wants. Reads
 * /proc/self/maps; takes no lock. */
void unwind_print(const struct backtrace *stack);

#endif
