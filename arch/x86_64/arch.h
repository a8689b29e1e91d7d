/*
 * What the allocator needs to know of x86-64. The build puts exactly one arch/ directory on the
 * include path; each defines these names: ARCH_NAME, ARCH_ADDRESS_BITS, ARCH_VDSO_CLOCK, arch_hint,
 * arch_pause, arch_thread_pointer, arch_syscall. See src/README.md.
 */
#ifndef GOALLOC_ARCH_H
#define GOALLOC_ARCH_H

#include <stdint.h>

#include "hints.h"

#define ARCH_NAME "x86_64"
#define ARCH_ADDRESS_BITS 47
/* The name of clock_gettime in the vDSO. */
#define ARCH_VDSO_CLOCK "__vdso_clock_gettime"

/* The i-th address to ask for; 0 when the list has ended before i. */
static inline uint64_t arch_hint(unsigned i) {
#ifdef __SANITIZE_THREAD__
    return hint_x86_64_race(i);
#else
    return hint_x86_64(i);
#endif
}

/* In a spin loop: lets the other hardware thread run and saves power. */
static inline void arch_pause(void) {
    __asm__ volatile("pause");
}

/* A value that differs between any two live threads and is never 0. */
static inline uintptr_t arch_thread_pointer(void) {
    uintptr_t self;
    __asm__("movq %%fs:0, %0" : "=r"(self));
    return self;
}

/* A system call past libc: no errno, no cancellation point, no wrapper of another library. */
static inline long arch_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
