/*
 * goalloc_stack.h: stacks for coroutines, fibers and threads.
 *
 *     struct goalloc_stack stack = goalloc_stack_alloc(16 * 1024, GOALLOC_STACK_GUARD);
 *     if (stack.low == NULL) {
 *         perror("goalloc_stack_alloc");
 *         return -1;
 *     }
 *     my_coroutine_start(stack.low, stack.high);
 *     ...
 *     goalloc_stack_free(stack.low);
 *
 * Small stacks come from pools by order: 2, 4, 8 and 16 KiB. A thread keeps up to 32 KiB of each
 * order for itself, with and without guards, so that allocating and freeing a stack costs about as
 * much as malloc and free. Larger stacks are powers of two up to 1 GiB. The scheme is that of the
 * Go runtime (stack.go).
 *
 * Memory: a stack that is never written to costs some 10 bytes. A free stack keeps the pages that
 * it dirtied, and its guard; what was free for some seconds is given back by the calls of malloc,
 * free and these functions that go beyond a thread's caches, or, in a process that makes none, by
 * the thread of the option BACKGROUND.
 *
 * malloc, free and these functions need up to 1.5 KiB of the stack that they are called on, and the
 * dynamic linker more at a function's first call: link programs that run on the smallest stacks
 * with -z now.
 *
 * Any thread may call all of these at any time, and free a stack that another allocated. None is
 * async-signal-safe. Misuse (a stack freed twice, a pointer that is not the low end of a stack)
 * ends the process with one line on stderr that names the call, the pointer and the likely cause:
 * for a stack freed twice when it leaves the thread's cache, unless it has been handed out again by
 * then. malloc's free is misuse, too.
 */
#ifndef GOALLOC_STACK_H
#define GOALLOC_STACK_H

#include <stddef.h>

#include "goalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes from low up to, not including, high. Both are multiples of 16. low NULL: no stack. */
struct goalloc_stack {
    void *low;
    void *high;
};

enum {
    /*
     * The system's page below low is not accessible: an overflow ends the process (SIGSEGV) before
     * it overwrites anything. Such a stack has at least a page. A guard is made once, not each
     * time. Linux before 6.13 needs two mappings for each, so there may be as many as a quarter of
     * the mappings that a process may have (vm.max_map_count, 65,530 by default).
     */
    GOALLOC_STACK_GUARD = 1,
    /* All bytes are zero. Without it they have any value. */
    GOALLOC_STACK_ZERO = 2,
};

/*
 * A stack of at least size bytes, 1 to 1 GiB, rounded up to a power of two.
 * EINVAL: size is 0 or more than that, or flags has others than the above.
 * ENOMEM: no memory, or no more guards.
 */
GOALLOC_API struct goalloc_stack goalloc_stack_alloc(size_t size, unsigned flags);

/* Frees a stack on which nothing runs, by its low end. NULL is ignored. Keeps errno. */
GOALLOC_API void goalloc_stack_free(void *low);

/*
 * Frees a stack on which the caller may be running itself, as the last thing that a coroutine does
 * before it switches away for good. Nothing touches the stack until the calling thread, running on
 * another one, calls one of the other functions here or retires the next, or ends. So one stack a
 * thread waits at the most. A stack on which the caller does not run is freed at once.
 *
 * A thread cannot retire the stack that it was created with: free that after pthread_join.
 */
GOALLOC_API void goalloc_stack_retire(void *low);

/* Gives the stacks that the calling thread keeps for itself back to the pools. */
GOALLOC_API void goalloc_stack_flush(void);

/* A snapshot of all stacks; sizes in usable bytes. Other threads go on while it is taken. */
struct goalloc_stack_stats {
    size_t stacks;      /* in use, retired ones included */
    size_t bytes;       /* in these */
    size_t free_stacks; /* in threads' caches and in the pools */
    size_t free_bytes;  /* in these, whether they cost memory or not */
    size_t guards;      /* guards that cost mappings */
    size_t guards_most; /* the most that there may be */
};
GOALLOC_API void goalloc_stack_get_stats(struct goalloc_stack_stats *out);

#ifdef __cplusplus
}
#endif

#endif
