/*
 * System calls that fail on purpose, and what must hold whatever failed. The programs of this
 * directory are linked with the modules but not with the malloc shim, so nothing but the heap
 * under test makes calls here. The settings and counts are shared with the children of forks.
 */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <stddef.h>
#include <stdint.h>

/* Before anything else, in the process that all others are forked from. */
void faults_start(void);

/* Only the nth call from here on fails; or so many in a thousand. */
void faults_nth(unsigned long n);
void faults_random(unsigned per_thousand);

/* In this process no call fails from here on. */
void faults_none(void);

/* The calls that could have failed, and those that did, since faults_nth or faults_random. */
unsigned long faults_calls(void);
unsigned long faults_injected(void);

/*
 * A block, its bytes filled from its id; address NULL: none. The functions allow any allocation to
 * fail, if with ENOMEM, check every byte of what is there, and count the failures.
 */
struct block {
    unsigned char *address;
    size_t size;
    unsigned id;
};

struct block block_new(size_t size, unsigned id);
struct block block_zeroed(size_t size, unsigned id);
struct block block_aligned(size_t align, size_t size, unsigned id);
void block_resize(struct block *block, size_t size);
void block_free(struct block *block);

unsigned long block_failures(void);

/* What a thread does between these is done as by a signal handler that interrupts its slow path:
 * blocks come from emergency memory, and what is freed is put aside. */
void begin_interruption(void);
void end_interruption(void);

/* With no faults any more, no block in use and no other thread: everything can be had again, goes
 * back, and the heap's structures hold. */
void check_heap_is_whole(void);

/* What can be said when a fork may have lost a block of a thread that is not here. */
void check_heap_works(void);

#endif
