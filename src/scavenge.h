/*
 * Gives memory that lies idle back to the system, a little at a time, on the slow paths of the
 * program's own threads. See README.md.
 */
#ifndef GOALLOC_SCAVENGE_H
#define GOALLOC_SCAVENGE_H

#include <stdbool.h>
#include <stdint.h>

/* What a caller has to do above the heap: so many small steps, mostly none or one, more where calls
 * are rare; and once a period, twice a second, what begins then. */
struct scavenge_due {
    unsigned steps;
    bool period;
};

/* Does what is due at this time (os_milliseconds), mostly nothing. Takes the lock of the heap. */
struct scavenge_due scavenge(uint64_t now);

/* How many periods there were. */
unsigned scavenge_periods(void);

#endif
