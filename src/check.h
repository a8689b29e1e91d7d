/*
 * What the slow path does otherwise in the checked modes, see README.md, "Checked modes". With
 * GOALLOC_CHECK=1 a bit says of each 8 bytes of the heap whether a block in use starts there.
 * malloc sets it, free clears it with an atomic operation, so that of two threads that free a
 * block one is told. CHECK=2 adds what contents.h, quarantine.h and guard.h do; CHECK=3 is guard.h
 * for a sample, and with GUARD_RATE=1 for all blocks.
 *
 * All but check_owns, check_samples and check_usable_size run between thread_enter and
 * thread_leave. frame is __builtin_frame_address(0) of a function that was reached from the entry
 * point by tail calls, where the stacks begin.
 */
#ifndef GOALLOC_CHECK_H
#define GOALLOC_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* A block at a multiple of align; NULL: no memory. *needs_zero: it is not all zero. */
void *check_alloc(size_t size, size_t align, const void *frame, bool *needs_zero);

/* CHECK=3 with a rate: is it this allocation's turn? A refill of a magazine stands for many. */
bool check_samples(size_t size);

/* A guarded block; NULL: do without. */
void *check_sample(size_t size, size_t align, const void *frame, bool *needs_zero);

/* At the end of the process: what waits in the quarantine and what is free in spans is verified. */
void check_end(void);

/* Is it a block for check_free, in an arena? */
bool check_owns(const void *pointer);
void check_free(const char *call, void *pointer, const void *frame);

/* The size asked for where that is known, else the block's. */
size_t check_usable_size(const char *call, const void *pointer);

/* A large block for a realloc that moves, with room to grow behind it; NULL: as any other. */
void *check_alloc_to_grow(size_t size, const void *frame);

/* Resizes a large block where it is, within the slow path or not; false: move it. */
bool check_resize(void *pointer, size_t size);

/* Is that the size asked for? Of a block, in an arena or not. */
bool check_knows_size(const void *pointer);

#endif
