/*
 * What the programs of this directory share. Each is a process of its own with goalloc preloaded,
 * exits with 0 when all is well, and otherwise prints one line and exits with 1. A hang is ended
 * by a time limit: CTest's for the program, LIFE_CHILD_SECONDS for each child it forks.
 */
#ifndef TESTS_LIFE_LIFE_H
#define TESTS_LIFE_LIFE_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIFE_CHILD_SECONDS 60
#define LIFE_SKIPPED 77 /* exit status of a program that could not test anything */
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Ends the process with the message unless the condition holds. */
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            life_fail(__FILE__, __LINE__, __VA_ARGS__);                                            \
        }                                                                                          \
    } while (0)

__attribute__((noreturn, format(printf, 3, 4))) void life_fail(const char *file, int line,
                                                               const char *format, ...);

/* Fails unless malloc of this process is goalloc's. */
void life_require_goalloc(void);

/* The pointer, hidden from the compiler, which could otherwise drop a malloc and its free. */
void *life_keep(void *ptr);

/* malloc that must succeed, filled with a byte that depends on the size; and the check of it. */
void *life_block(size_t size);
void life_check_block(const void *ptr, size_t size);

/* Allocates, checks and frees blocks of many sizes, small to large. */
void life_exercise_heap(void);

/* Resident bytes, read without allocating. */
size_t life_resident(void);

/* Called first in a forked child: a child that hangs is ended by SIGALRM. */
void life_enter_child(void);

/* Waits for a child, which must exit with 0. */
void life_wait(pid_t child);

/*
 * Limits a resource of this process and starts the program anew with "limited" as its only
 * argument, so that the allocator initialises itself under the limit. Does not return.
 */
void life_restart_limited(int resource, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
