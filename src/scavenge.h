/*
 * Gives memory that lies idle back to the system, a little at a time, on the slow paths of the
 * program's own threads. See README.md.
 */
#ifndef GOALLOC_SCAVENGE_H
#define GOALLOC_SCAVENGE_H

#include <stdbool.h>
#include <stdint.h>

/* Does what is due at this time (os_milliseconds), mostly nothing. Takes the lock of the heap. True
 * twice a second: what lies idle above the heap is due, too. */
bool scavenge(uint64_t now);

/* How often it was true. */
unsigned scavenge_periods(void);

#endif
