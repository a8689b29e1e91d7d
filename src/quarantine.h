/*
 * CHECK=2: freed small objects wait here before they can be used again, first in, first out, so
 * that a write to a block some time after its free does not hit another block but is found. One
 * queue for each of a few groups of threads. See README.md.
 */
#ifndef GOALLOC_QUARANTINE_H
#define GOALLOC_QUARANTINE_H

#include <stddef.h>

enum { QUARANTINE_OUT_MOST = 8 };

/* Takes an object of so many bytes; *out are those whose time is over. Returns how many. */
unsigned quarantine_exchange(void *object, size_t size, void **out);

/* Takes some that still wait out; 0: there are none. */
unsigned quarantine_drain(void **out);

/* Of the objects that wait. */
size_t quarantine_bytes(void);

/* In the child of a fork. */
void quarantine_reset_in_child(void);

#endif
