/*
 * What the unit tests share: the set-up that cmocka's header wants, children of a fork for what
 * ends a process or wants a heap of its own, threads that start together, random numbers, patterns.
 *
 * cmocka's assertions jump back to the runner, which neither a thread nor a child may do: there,
 * CHECK ends the process. A child starts with the state that its parent has, so a test whose parent
 * never touches the heap gets a fresh one.
 */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A child that ends with this was not able to test anything; its text says why. */
enum { CHILD_SKIPPED = 77 };

struct child {
    int status; /* as from wait */
    size_t length;
    char text[8192]; /* what it wrote to stderr */
};

/* Runs body(argument) in a child of a fork with stderr in a pipe. It exits with 0 when body
 * returns. */
void run_child(struct child *child, void (*body)(const void *), const void *argument);

/* It must exit with 0 and have written nothing; when it was skipped, so is the test. */
void assert_child_passes(void (*body)(const void *), const void *argument);

/* It must abort and have written exactly this. */
void assert_child_aborts(void (*body)(const void *), const void *argument, const char *text);

/* A test of cmocka that runs in a child. */
#define TEST_IN_CHILD(name)                                                                        \
    static void name##_in_child(const void *unused);                                               \
    static void name(void **state) {                                                               \
        (void)state;                                                                               \
        assert_child_passes(name##_in_child, NULL);                                                \
    }                                                                                              \
    static void name##_in_child(const void *unused)

/* For threads and children: ends the process with a line on stderr unless the condition holds. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failed(__FILE__, __LINE__, #condition);                                          \
        }                                                                                          \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *condition);

/* Ends a child whose system cannot do what it tests. */
_Noreturn void skip_child(const char *reason);

/* Runs body(0) to body(count - 1) in threads that start at the same time; returns when all have
 * ended. */
void run_threads(unsigned count, void (*body)(unsigned index));

/* Runs body in `count` children of forks, one after another, as a part of the slow path; each must
 * end with 0 within 20 seconds. */
void run_forks(unsigned count, void (*body)(void));

/* The next of a sequence of random numbers; *state is the seed, not 0. */
uint64_t random_next(uint64_t *state);

/* From 0 to below, evenly enough. */
size_t random_below(uint64_t *state, size_t below);

void fill(void *memory, size_t size, unsigned seed);
bool is_filled(const void *memory, size_t size, unsigned seed);
bool is_zero(const void *memory, size_t size);
bool is_aligned_to(const void *memory, size_t align);

/* The size of all mappings of this process. */
size_t virtual_bytes(void);

/* The system's pages in at most 64 MiB that are backed by memory. */
size_t resident_pages(void *memory, size_t bytes);

/* The page faults that this process took without reading a disk. */
size_t page_faults(void);

/* True for systems that let madvise succeed without doing anything, as qemu-user does. */
bool takes_any_advice(void);

/* A large block of the page heap, written to and freed. */
void use_and_free(size_t bytes);

/* Ends a child whose system keeps what is given back, as older qemu-user does. */
void skip_where_nothing_goes_back(void);

/* Limits the address space of a child to this many bytes beyond what it has mapped. Skips the child
 * where the system does not enforce it. */
void limit_address_space(size_t more);

#endif
