/*
 * What a signal handler's context tells of a faulting access on arm64; the same names as in every
 * arch/ directory. See arch/x86_64/fault.h for what they are.
 */
#ifndef GOALLOC_FAULT_H
#define GOALLOC_FAULT_H

#include <asm/sigcontext.h>
#include <stdint.h>
#include <ucontext.h>

/* The syndrome is one of the records that the kernel puts behind the registers; qemu-user has
 * none. */
static inline const char *fault_access(const void *context) {
    enum { SYNDROME_WRITE = 1 << 6 };
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
    const unsigned char *at = machine->__reserved;
    const unsigned char *end = at + sizeof machine->__reserved;
    while (end - at >= (long)sizeof(struct esr_context)) {
        const struct esr_context *record = (const void *)at;
        if (record->head.magic == ESR_MAGIC) {
            return (record->esr & SYNDROME_WRITE) != 0 ? "write" : "read";
        }
        if (record->head.size < sizeof record->head) {
            break;
        }
        at += record->head.size;
    }
    return "access";
}

static inline uintptr_t fault_pc(const void *context) {
    return ((const ucontext_t *)context)->uc_mcontext.pc;
}

static inline const void *fault_frame(const void *context) {
    return (const void *)((const ucontext_t *)context)->uc_mcontext.regs[29];
}

#endif
