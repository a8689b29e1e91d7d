/*
 * All threads' caches, in a list under a lock of its own: for the shards, over which they are dealt
 * out evenly; for the statistics, which look into caches that their threads go on to use; and for
 * the child of a fork, which has the objects of threads that are not there given back. See
 * README.md.
 */
#ifndef GOALLOC_REGISTRY_H
#define GOALLOC_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

struct mcache;

/* A new cache: joins the list, and gets the shard with the fewest caches. Returns how many there
 * are. */
size_t registry_add(struct mcache *cache);
void registry_remove(struct mcache *cache);

/* One of the caches that a fork left behind, with its magazines at rest, and from now on the
 * caller's; NULL: there is none. */
struct mcache *registry_take_abandoned(void);

/* The bytes in all threads' caches (a snapshot, while the threads go on) and the number of
 * caches. */
size_t registry_total_bytes(size_t *caches);

/* The large blocks that all threads keep for themselves; leads is the part of their bytes before
 * their starts. */
struct registry_large {
    size_t bytes;
    size_t leads;
    size_t blocks;
};
struct registry_large registry_total_large(void);

/* The stacks in all threads' caches of stacks, and their bytes. */
size_t registry_total_stacks(size_t *bytes);

/* In the child of a fork, after all that caches are made of and before any other thread of it can
 * hold the lock: from here on, caches are the child's. */
void registry_begin_in_child(void);

/* After that, by the thread that forked: abandons the caches of those that are not here. `mine` (or
 * NULL) is its own, `interrupted` whether the fork came in the middle of its slow path. */
void registry_reset_in_child(struct mcache *mine, bool interrupted);

#endif
