/*
 * A thread that gives idle memory back while the program itself does not call the heap any more.
 * Only where the option BACKGROUND asks for it: a library has no business to make a program
 * multi-threaded. See README.md.
 */
#ifndef GOALLOC_BACKGROUND_H
#define GOALLOC_BACKGROUND_H

#include <stdbool.h>

/* From here on threads may be created: the C library is up. */
void background_allow(void);

/* What it does, for whoever calls the heap: gives back what is idle, as far as it is time to. True:
 * it is not through with that yet. */
bool background_work(void);

/* There may be something to give back. Called outside the slow path: creating the thread
 * allocates. */
void background_wake(void);

#endif
