/*
 * What the allocator needs to know of arm64; the same names as in every arch/ directory. See
 * arch/x86_64/arch.h for their contracts.
 */
#ifndef GOALLOC_ARCH_H
#define GOALLOC_ARCH_H

#include <stdint.h>

#include "hints.h"

#define ARCH_NAME "arm64"
#define ARCH_ADDRESS_BITS 48
#define ARCH_VDSO_CLOCK "__kernel_clock_gettime"

static inline uint64_t arch_hint(unsigned i) {
#ifdef __APPLE__
    return hint_arm64_darwin(i);
#else
    return hint_arm64(i);
#endif
}

static inline void arch_pause(void) {
    __asm__ volatile("isb"); /* yield does nothing on most cores; isb waits some 40 cycles */
}

static inline uintptr_t arch_thread_pointer(void) {
    uintptr_t self;
    __asm__("mrs %0, tpidr_el0" : "=r"(self));
    return self;
}

static inline long arch_syscall(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#endif
