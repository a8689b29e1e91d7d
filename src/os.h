/*
 * The one door to the kernel. Address space goes through these states, as in Go's mem.go:
 *
 *     None      not ours
 *     Reserved  ours, no access allowed, costs no memory
 *     Readable  ours, reads as zero, costs no memory
 *     Ready     readable and writable; fresh pages read as zero and cost memory once touched
 *
 * Every function is a transition with a pre- and a postcondition. None of them touches errno,
 * allocates or takes a lock; a refusal of the kernel is returned, never fatal. Ranges are multiples
 * of os_page_size(), which is read from the system at run time. See README.md.
 */
#ifndef GOALLOC_OS_H
#define GOALLOC_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* os_linux.c is the only implementation of this yet. */
enum { OS_IS_WINDOWS = 0 };

/* The system's page, a power of two, 4 KiB to 64 KiB on the systems that we know. */
size_t os_page_size(void);

/* What RLIMIT_AS leaves a process in all, SIZE_MAX when there is no limit. */
size_t os_address_space_limit(void);

/* None -> Reserved, at hint when the kernel agrees, else anywhere; NULL: refused. */
void *os_reserve(void *hint, size_t size);

/* None -> Reserved at exactly this address; false: occupied or refused. */
bool os_reserve_at(void *where, size_t size);

/* Reserved or Ready -> None. */
void os_unreserve(void *base, size_t size);

/* Reserved or Readable -> Ready, all zero; false: refused, unchanged. */
bool os_open(void *base, size_t size);

/* Ready -> Reserved, the contents kept; false: refused, unchanged. */
bool os_forbid(void *base, size_t size);

/* Reserved -> Readable. */
bool os_open_for_reading(void *base, size_t size);

/* None -> Ready, all zero; NULL: refused. */
void *os_map(size_t size);

/* None -> Readable; NULL: refused. */
void *os_map_readable(size_t size);

/* None -> Ready; in the child of a fork, which has its own copy of all memory, the range reads
 * as zero again. NULL: refused, or not known to the system. */
void *os_map_wiped_by_fork(size_t size);

/*
 * Ready -> Ready, but any access ends the process, until os_unmark_guards; the memory is given
 * back. Unlike os_forbid it costs no mapping of its own. false: refused or not known to the system.
 */
bool os_mark_guard(void *base, size_t size);

/* Takes all such marks in the range away; the pages that had one read as zero. */
void os_unmark_guards(void *base, size_t size);

/* The mappings that a process may have. */
size_t os_mappings_most(void);

/* Ready -> Ready, the memory given back; true: it reads as zero now, false: unchanged or
 * unknown. */
bool os_discard(void *base, size_t size);

/* How much of a Ready range of whole pages, OS_RESIDENT_MOST bytes at the most, the memory holds;
 * 0 where that is not known, and all where the process's system calls are filtered: systemd's usual
 * set for services, @system-service, lacks the one that tells. */
#define OS_RESIDENT_MOST MIB
size_t os_resident(void *base, size_t size);

/*
 * Moves the pages of one Ready range to another by exchanging page tables. Afterwards `to` has the
 * contents and `from` reads as zero. false: nothing happened, copy instead.
 */
bool os_move_pages(void *to, void *from, size_t size);

/* Small heaps lose more to huge pages than they win: keeps the kernel from using them here. */
void os_avoid_huge_pages(void *base, size_t size);

/* Sleeps while *word is value, not longer than that; may return early. */
void os_futex_wait(const void *word, uint32_t value, unsigned milliseconds);
void os_futex_wake(const void *word, int waiters);

/* Lets other threads run first. */
void os_yield(void);

/* Can the 16 bytes there, which lie in one page, be read? */
bool os_is_readable(const void *address);

/* The number by which the system knows the calling thread. */
unsigned os_thread_id(void);

/* Is it the process's first one, which in the child of a fork is the one that forked? */
bool os_is_first_thread(void);

/* Has every other thread ended, and the process's first one before all the others? */
bool os_is_last_thread(void);

/* The processors that the process's first thread may run on; 1 when the system does not tell. */
unsigned os_processors(void);

/* Milliseconds since some moment in the past, in steps of a few; costs some nanoseconds. */
uint64_t os_milliseconds(void);

/* Writes all of it, as far as the descriptor takes it. */
void os_write(int fd, const char *text, size_t length);

/* Another descriptor of the same file, out of the way of the program's own; negative: no. */
int os_duplicate(int fd);

/* Opens for reading; negative: no. */
int os_open_file(const char *path);

/* What names the file that a descriptor is open for; false: it is not open. */
struct os_file {
    uint64_t device;
    uint64_t number;
};
bool os_get_file(int fd, struct os_file *file);

/* The bytes read, 0 at the end, negative on error. */
ssize_t os_read(int fd, void *out, size_t size);
void os_close(int fd);

/* True when the process has more rights than its user: the environment is not to be trusted. */
bool os_is_secure(void);

#endif
