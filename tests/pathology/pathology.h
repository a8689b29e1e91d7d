/*
 * What the programs of this directory share, beyond the helpers of tests/life. Each shows one or
 * two of the ways in which memory allocators are known to fail, and measures what does not depend
 * on the machine: page faults, system calls, instructions, mappings, resident bytes, addresses; or
 * how a time grows when everything but one thing stays the same.
 */
#ifndef TESTS_PATHOLOGY_PATHOLOGY_H
#define TESTS_PATHOLOGY_PATHOLOGY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "life.h"

#define GIB ((size_t)1 << 30)
#define NS_PER_MS 1000000ull

/* Ends the program with the exit code that CTest takes for "not tested here". */
__attribute__((noreturn)) void skip(const char *reason);

/* ---- time ---- */

uint64_t now_ns(void);
void sleep_ms(unsigned ms);

/* The lesser of the two; the least of several measurements is the one that was disturbed least. */
uint64_t least(uint64_t a, uint64_t b);

/* ---- random numbers ---- */

/* 0 .. n - 1 */
size_t random_below(uint64_t *seed, size_t n);

/* Between the two; each doubling between them is as likely as any other. */
size_t random_size(uint64_t *seed, size_t smallest, size_t largest);

void shuffle(void **items, size_t count, uint64_t *seed);

/* ---- blocks ---- */

/* malloc that must succeed, with one byte written in each 4 KiB, the first and the last. */
void *touched(size_t size);

/* Frees a block of touched(), whose first and last byte must be what they were. */
void free_touched(void *block, size_t size);

/* A block that says its size, and is written as a whole: its last byte says it, too. */
struct sized {
    uint32_t size;
    uint32_t inverted;
};

/* At least sizeof(struct sized) bytes; malloc must succeed. */
struct sized *sized_make(uint32_t size);

/* Frees it, unless it is NULL. It must be what it was. */
void sized_drop(struct sized *block);

/* ---- the process ---- */

/* Page faults so far. */
size_t page_faults(void);

/* Lines of /proc/self/maps. */
size_t mappings(void);

/* One line of /proc/self/smaps_rollup, such as "Rss", in bytes. */
size_t rollup(const char *field);

/* The most bytes that were ever resident. */
size_t peak_resident(void);

/* Of the processors that this process may use, it keeps to the first; its children as well. */
void use_one_processor(void);

/* So that a page fault is 4 KiB on every system. */
void avoid_huge_pages(void);

/* ---- threads ---- */

/* Runs body(0) .. body(count - 1) in a thread each. */
void run_threads(size_t count, void (*body)(size_t index));

/* ---- counts, in a child that runs prepare() and then, watched, work() ---- */

/* System calls of work() and of all threads that it starts: mmap and all others that change
 * mappings. */
size_t mapping_calls(void (*prepare)(void), void (*work)(void));

/* Instructions of work(). */
size_t instructions(void (*prepare)(void), void (*work)(void));

#endif
