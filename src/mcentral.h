/*
 * The spans of each size class, with their bitmaps, which all threads share. One lock a class and
 * shard. See README.md.
 *
 * All this exists MCENTRAL_SHARDS times, and threads are dealt out over the shards. A class that is
 * hot in a thread is served from the thread's shard, so that threads neither wait for one lock nor
 * get objects in each other's cache lines; any other class from shard 0, so that threads share
 * spans as long as they need little. An object goes back to the shard that its span belongs to,
 * whoever frees it.
 *
 * Of the spans with free objects, a spanset, the fullest are used first, so that the others become
 * empty. A class with many spans gets several from the heap at once, and gives several back. Some
 * that are empty stay, and most where there are several threads or few objects to a span: the
 * thread that has filled and emptied them often does so again, and has them in its cache. But
 * before a page is used that never was, a shard takes over a span of another that is half empty or
 * more, and then empty spans of all classes go back to the heap, but for what each gets at once.
 *
 * Objects come back many at a time, and here misuse shows that the fast path cannot see: an object
 * whose bit is set already was freed twice, an address between two objects was never handed out.
 * Both end the process.
 */
#ifndef GOALLOC_MCENTRAL_H
#define GOALLOC_MCENTRAL_H

#include <stdbool.h>
#include <stddef.h>

#include "bits.h"
#include "mcentral_struct.h"

/* How many objects go one way at a time at most. */
enum { MCENTRAL_MOST = WORD_BITS };

/*
 * Takes up to `want` (1 to MCENTRAL_MOST) objects of the class and stores them below `end`, the one
 * with the lowest address at end[-1]. Returns how many; fewer than wanted is normal, 0: no memory.
 */
unsigned mcentral_take(unsigned shard, unsigned class, void **end, unsigned want);

/* Gives n (1 to MCENTRAL_MOST) objects back. `call` is named if one of them proves wrong. */
void mcentral_give(unsigned class, void *const *objects, unsigned n, const char *call);

/* The shard that the object's span belongs to; it may change at any time. */
unsigned mcentral_shard_of(const void *object);

/* In pages: how much of empty spans one call gives back to the heap for others, so that it does not
 * take long. */
enum { MCENTRAL_TRIM_MOST = 64 };

/* Gives empty spans of a class and shard back to the heap, up to so many pages or little more.
 * Returns their pages. */
size_t mcentral_trim(unsigned shard, unsigned class, size_t most);

/* The same for all of them, whatever they have. */
void mcentral_trim_all(void);

/* The same, MCENTRAL_TRIM_MOST a call of mcentral_trim_some: a round begins, unless one is under
 * way, and goes on. True: it has not come to its end. */
void mcentral_begin_trim(void);
bool mcentral_trim_some(void);

/* Gives kept large blocks back to the heap, unless another thread is doing so, and then empty spans
 * of any class and shard that has more than one, until they have so many pages. No lock of an
 * mcentral is waited for. */
void mcentral_reclaim(size_t pages);

/* A free object in any span that `wanted` says yes to, while the class is locked; NULL: none. */
void *mcentral_find_free(bool (*wanted)(const void *object));

/* In bytes, of all shards. */
struct mcentral_stats {
    size_t out;     /* objects out of their spans: the program's, and those in caches */
    size_t objects; /* all of them, in use or free */
    size_t spans;   /* all spans of the class, with what is left behind the last object */
    size_t span_count;
};
struct mcentral_stats mcentral_get_stats(unsigned class);

/* In the child of a fork, after the page heap. */
void mcentral_reset_in_child(void);

/* Do lists and counts of a class agree, in all shards? For tests and debug builds. */
bool mcentral_is_valid(unsigned class);

#endif
