/*
 * What a signal handler's context tells of a faulting access on x86-64. Each arch/ directory
 * defines the same names: fault_is_write, fault_pc, fault_frame. See src/README.md.
 */
#ifndef GOALLOC_FAULT_H
#define GOALLOC_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Places in the array of registers; their names are in the header only with _GNU_SOURCE. */
enum { FAULT_FRAME = 10, FAULT_PC = 16, FAULT_ERROR = 19, FAULT_ERROR_WRITE = 2 };

static inline bool fault_is_write(const void *context) {
    return (((const ucontext_t *)context)->uc_mcontext.gregs[FAULT_ERROR] & FAULT_ERROR_WRITE) != 0;
}

static inline uintptr_t fault_pc(const void *context) {
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[FAULT_PC];
}

static inline const void *fault_frame(const void *context) {
    return (const void *)((const ucontext_t *)context)->uc_mcontext.gregs[FAULT_FRAME];
}

#endif
