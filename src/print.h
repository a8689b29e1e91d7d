/*
 * Text without libc: printf may allocate and take locks, and the allocator must be able to speak
 * while it holds its own. A line is built in a buffer on the stack and written at once, so that
 * lines of different threads do not mix. See README.md.
 */
#ifndef GOALLOC_PRINT_H
#define GOALLOC_PRINT_H

#include <stdarg.h>
#include <stddef.h>

#define STDERR 2

/*
 * Knows %s, %d (int), %u (unsigned), %zu (size_t), %p (always with 0x), %x (uintptr_t, no 0x)
 * and %%. With %s, %u and %zu a number before the letter is a width, filled with blanks on the
 * right of text and on the left of numbers. Cuts at size, always ends with a NUL, returns the
 * length. Async-signal-safe.
 */
size_t print_to(char *out, size_t size, const char *format, va_list arguments);
size_t print_buffer(char *out, size_t size, const char *format, ...);

/* The same, written to a file descriptor; at most 1 KiB. */
void print_fd(int fd, const char *format, ...);

#endif
