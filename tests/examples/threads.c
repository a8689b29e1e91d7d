/*
 * An example: threads that run on pooled stacks with guards.
 *
 *     threads [TOTAL]
 *
 * creates 4,000 threads, up to 16 at once, gives each a stack with pthread_attr_setstack, and frees
 * it after pthread_join, when nothing can run on it any more. From the second round on a stack with
 * its guard costs no system call. Each thread verifies that it runs where it should and fills what
 * is left of its stack.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goalloc_stack.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_SIZE = 2048 * 1024 }; /* theirs are on it, too */
#else
enum { STACK_SIZE = 256 * 1024 };
#endif

enum { AT_ONCE = 16, USED = 128 * 1024 };

struct worker {
    pthread_t thread;
    struct goalloc_stack stack;
    unsigned number;
};

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

static unsigned use_stack(unsigned number) {
    volatile unsigned char used[USED];
    unsigned sum = 0;
    memset((void *)used, (int)(number & 0x7f), sizeof used);
    for (size_t i = 0; i < sizeof used; i += 1024) {
        sum += used[i];
    }
    return sum;
}

static void *run(void *argument) {
    const struct worker *worker = argument;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (here < (uintptr_t)worker->stack.low || here >= (uintptr_t)worker->stack.high) {
        return NULL;
    }
    bool right = use_stack(worker->number) == USED / 1024 * (worker->number & 0x7f);
    return right ? argument : NULL;
}

static void start(struct worker *worker) {
    pthread_attr_t attributes;
    worker->stack = goalloc_stack_alloc(STACK_SIZE, GOALLOC_STACK_GUARD);
    if (worker->stack.low == NULL) {
        fail("goalloc_stack_alloc");
    }
    size_t size = (size_t)((char *)worker->stack.high - (char *)worker->stack.low);
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstack(&attributes, worker->stack.low, size) != 0 ||
        pthread_create(&worker->thread, &attributes, run, worker) != 0) {
        fail("a thread on a stack of its own");
    }
    pthread_attr_destroy(&attributes);
}

static void finish(struct worker *worker) {
    void *result;
    if (pthread_join(worker->thread, &result) != 0 || result != worker) {
        fail("pthread_join");
    }
    goalloc_stack_free(worker->stack.low);
}

int main(int argc, char **argv) {
    static struct worker workers[AT_ONCE];
    unsigned total = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4000;
    for (unsigned i = 0; i < total + AT_ONCE; i++) {
        struct worker *worker = &workers[i % AT_ONCE];
        if (i >= AT_ONCE && i - AT_ONCE < total) {
            finish(worker);
        }
        if (i < total) {
            worker->number = i;
            start(worker);
        }
    }
    struct goalloc_stack_stats stats;
    goalloc_stack_get_stats(&stats);
    printf("%u threads ran on pooled stacks; %zu stacks are in use, %zu are free\n", total,
           stats.stacks, stats.free_stacks);
    return stats.stacks == 0 && stats.free_stacks <= AT_ONCE ? 0 : 1;
}
