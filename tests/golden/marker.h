/*
 * How the victim tells the tracer that the next call of a function is to be recorded: a breakpoint
 * instruction with the facts in registers. Nothing is printed or stored, so that a marker disturbs
 * neither the heap nor the caches in it.
 */
#ifndef MARKER_H
#define MARKER_H

#include <stddef.h>

enum marker_call { CALL_MALLOC, CALL_FREE, CALL_FREE_OTHER, CALL_USABLE_SIZE, CALL_REALLOC };

/*
 * entry is the first instruction of the function, size the request and usable the bytes that a
 * block of that size has. steps.c reads rdi, rsi, rdx and rcx.
 */
static inline void mark(enum marker_call call, const void *entry, size_t size, size_t usable) {
    __asm__ volatile("int3" : : "D"((size_t)call), "S"(entry), "d"(size), "c"(usable) : "memory");
}

#endif
