/*
 * Depots: full magazines that threads exchange whole, per size class and shard, so that objects
 * which cross from thread to thread in bulk never go through the bits of their spans. A stack under
 * a lock of its own, bounded by count and bytes: the free objects in it keep their spans from all
 * other classes. What nobody has needed for a while goes back to the spans. See README.md.
 */
#ifndef GOALLOC_DEPOT_H
#define GOALLOC_DEPOT_H

#include <stdbool.h>
#include <stddef.h>

#include "magazine.h"

/* A full magazine from the shard's depot for `empty` (NULL: for nothing); NULL: the depot has none,
 * and `empty` is still the caller's. */
struct magazine *depot_take(unsigned shard, unsigned class, struct magazine *empty);

/* Puts a full magazine into the depot of the shard that its first object is of; false: the depot is
 * full and the magazine still the caller's. *empty is an empty one, or NULL when there is none. */
bool depot_put(unsigned class, struct magazine *full, struct magazine **empty);

/* Gives magazines back to the spans that nobody has needed since the last call, four at the most,
 * and the empty spans that the shard keeps to the heap. Returns how many objects and pages went
 * back. */
size_t depot_trim(unsigned shard, unsigned class);

/* Where the class is sparse, has spans drain; what the depot holds would keep others from it. For
 * a class that is allocated of: where it is only freed of, spans become empty by themselves. */
void depot_drain(unsigned class);

/* depot_trim for all depots, some at a time, since it may be much: depot_begin_trim begins a round,
 * unless one is under way, and depot_trim_some goes on with it for less than 100 us, mostly. False:
 * the round is at its end. */
void depot_begin_trim(void);
bool depot_trim_some(void);

/* Empties all depots, and gives all empty spans back. */
void depot_release_all(void);

/* The bytes of the objects in the class's depots, of all shards. */
size_t depot_bytes(unsigned class);

/* In the child of a fork, after the mcentrals. */
void depot_reset_in_child(void);

#endif
