/*
 * What the misuse programs share. Each makes one mistake, of which goalloc must make one line on
 * stderr and SIGABRT. A program first writes the pointer that it is about to misuse to stdout, so
 * that run.sh can tell whether the message names that pointer.
 */
#ifndef TESTS_MISUSE_MISUSE_H
#define TESTS_MISUSE_MISUSE_H

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The pointer, hidden from the compiler, which would see the mistake and warn or act on it. */
static inline void *hide(const void *ptr) {
    void *hidden = (void *)ptr;
    __asm__ volatile("" : "+r"(hidden) : : "memory");
    return hidden;
}

/* Announces the pointer whose misuse must be reported. */
static inline void *misused(const void *ptr) {
    char text[32];
    int length = snprintf(text, sizeof(text), "%p\n", ptr);
    if (write(STDOUT_FILENO, text, (size_t)length) != length) {
        _exit(2);
    }
    return hide(ptr);
}

enum { OTHERS = 10000 };

static void *others[OTHERS] __attribute__((unused));

/*
 * Fills what the heap caches of a size with free objects, and keeps as many live. Caches are
 * stacks: only what comes on top of full ones goes back to the heap, where mistakes show.
 */
static inline void fill_caches(size_t size) {
    for (size_t i = 0; i < OTHERS; i++) {
        others[i] = malloc(size);
    }
    for (size_t i = 0; i < OTHERS / 2; i++) {
        free(others[i]);
    }
}

/* Frees the live ones, which pushes what was freed since fill_caches out of the caches. */
static inline void overflow_caches(void) {
    for (size_t i = OTHERS / 2; i < OTHERS; i++) {
        free(others[i]);
    }
}

#endif
