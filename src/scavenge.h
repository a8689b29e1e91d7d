/*
 * Gives memory that lies idle back to the system, a little at a time, on the slow paths of the
 * program's own threads. See README.md.
 */
#ifndef GOALLOC_SCAVENGE_H
#define GOALLOC_SCAVENGE_H

#include <stdint.h>

/* What a caller has to do above the heap: nothing, a small step, or also what is due once a period,
 * twice a second. */
enum scavenge_due { SCAVENGE_NOTHING, SCAVENGE_STEP, SCAVENGE_PERIOD };

/* Does what is due at this time (os_milliseconds), mostly nothing. Takes the lock of the heap. */
enum scavenge_due scavenge(uint64_t now);

/* How many periods there were. */
unsigned scavenge_periods(void);

#endif
