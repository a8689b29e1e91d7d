/*
 * What threads share, per size class: a depot of full magazines, exchanged whole, and behind it the
 * spans with their bitmaps. One lock a class. See README.md.
 *
 * Spans with free objects are listed by occupancy in eight buckets and the fullest are used first,
 * so that nearly empty ones drain. An empty span goes back to the page heap at once, except one a
 * class. New spans are short until the class has proved itself.
 *
 * Objects come back many at a time, and here misuse shows that the fast path cannot see: an object
 * whose bit is set already was freed twice, an address between two objects was never handed out.
 * Both end the process.
 */
#ifndef GOALLOC_MCENTRAL_H
#define GOALLOC_MCENTRAL_H

#include <stddef.h>

#include "magazine.h"
#include "sizeclass.h"

/*
 * Takes up to `want` (1 to MAGAZINE_MOST) objects of the class and stores them below `end`, the one
 * with the lowest address at end[-1]. Returns how many; fewer than wanted is normal, 0: no memory.
 */
unsigned mcentral_take(unsigned class, void **end, unsigned want);

/* Gives n (1 to MAGAZINE_MOST) objects back. `call` is named if one of them proves wrong. */
void mcentral_give(unsigned class, void *const *objects, unsigned n, const char *call);

/* A full magazine from the depot for `empty` (NULL: for nothing); NULL: the depot has none, and
 * `empty` is still the caller's. */
struct magazine *mcentral_exchange_for_full(unsigned class, struct magazine *empty);

/* Puts a full magazine into the depot; false: the depot is full and the magazine still the
 * caller's. *empty is an empty one, or NULL when there is none. */
bool mcentral_exchange_for_empty(unsigned class, struct magazine *full, struct magazine **empty);

/* Gives those of the depot's magazines back to their spans that nobody has needed since the last call:
 * the free objects in them keep spans from the other classes. */
void mcentral_trim(unsigned class);

/* Empties all depots and gives all empty spans back to the page heap. */
void mcentral_release(void);

/* In bytes. */
struct mcentral_stats {
    size_t out;   /* objects out of their spans: the program's, and those in caches and depots */
    size_t depot; /* the part of `out` in the depot */
    size_t spans; /* all spans of the class */
    size_t span_count;
};
struct mcentral_stats mcentral_get_stats(unsigned class);

/* In the child of a fork, after the page heap. */
void mcentral_reset_in_child(void);

bool mcentral_is_valid(unsigned class);

#endif
