/*
 * What a signal handler's context tells of a faulting access on x86-64. Each arch/ directory
 * defines the same names: fault_access, fault_pc, fault_frame. See src/README.md.
 */
#ifndef GOALLOC_FAULT_H
#define GOALLOC_FAULT_H

#include <stdint.h>
#include <ucontext.h>

/* Places in the array of registers; their names are in the header only with _GNU_SOURCE. */
enum { FAULT_FRAME = 10, FAULT_PC = 16, FAULT_ERROR = 19, FAULT_ERROR_WRITE = 2 };

/* "read", "write", or "access" where the system does not tell. */
static inline const char *fault_access(const void *context) {
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
    return (machine->gregs[FAULT_ERROR] & FAULT_ERROR_WRITE) != 0 ? "write" : "read";
}

static inline uintptr_t fault_pc(const void *context) {
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[FAULT_PC];
}

static inline const void *fault_frame(const void *context) {
    return (const void *)((const ucontext_t *)context)->uc_mcontext.gregs[FAULT_FRAME];
}

#endif
