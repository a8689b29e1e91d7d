/*
 * The end of the process, with one line that says why. Never call it with a heap lock held: a
 * handler of SIGABRT may allocate. See README.md.
 */
#ifndef GOALLOC_FATAL_H
#define GOALLOC_FATAL_H

/* "goalloc: " and the sentence (print.h's format) on stderr, then abort. */
_Noreturn void fatal(const char *format, ...);

/* A misuse of the heap: "goalloc: CALL(POINTER): " and the cause. */
_Noreturn void fatal_misuse(const char *call, const void *pointer, const char *format, ...);

/* What goes on: a line that begins with "goalloc: ". */
void warn(const char *format, ...);

#endif
