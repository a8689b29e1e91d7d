/*
 * An example: coroutines with pooled stacks of 2 KiB, and a scheduler that runs them in turns.
 *
 *     coroutines [ALIVE] [TOTAL]
 *
 * runs a million coroutines, 100,000 of them alive at once. Each works, lets the others run, works
 * again, and retires its own stack as its last act. What a coroutine costs is computed from the
 * resident size: what it grew by while ALIVE of them were alive, all of which had run, divided by
 * their number. That is everything: the stack, what is written there, the library's tables and
 * the coroutine's descriptor, which lies at the top of its stack. 2,048 bytes are the stack itself.
 *
 * With stacks this small two things matter. Bind symbols at start (-z now): the dynamic linker's
 * lazy binding saves all registers on the stack of the first caller, up to 3 KiB. And if the
 * program handles signals, have the handlers run elsewhere: sigaltstack.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goalloc_stack.h"

#include "context.h"

/* The functions of instrumented programs need more than a stack of 2 KiB has, and the sanitizers
 * take memory of their own for each. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_SIZE = 32768, COST_MOST = 0 };
#else
enum { STACK_SIZE = 2048, COST_MOST = 2355 }; /* 2.3 KiB */
#endif

enum { TURNS = 3 };

struct coroutine {
    struct context context;
    struct coroutine *next; /* in the queue */
    void *low;
    uint64_t number;
};

static struct context scheduler;
static struct coroutine *current;
static struct coroutine *first, **last = &first; /* the queue of those that want to run */
static size_t alive, finished;
static uint64_t sum;

/* ---- what a coroutine can do ---- */

static void enqueue(struct coroutine *coroutine) {
    coroutine->next = NULL;
    *last = coroutine;
    last = &coroutine->next;
}

static void yield(void) {
    struct coroutine *me = current;
    enqueue(me);
    context_switch(&me->context, &scheduler);
}

/* The stack stays as it is until the scheduler next calls the library. */
static void leave(void) {
    struct coroutine *me = current;
    alive--;
    finished++;
    goalloc_stack_retire(me->low);
    context_leave(&me->context, &scheduler);
}

static void body(void) {
    context_begin(&scheduler);
    uint64_t number = current->number;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        sum += number * (turn + 1);
        yield();
    }
    leave();
}

/* ---- the scheduler ---- */

static void spawn(uint64_t number) {
    struct goalloc_stack stack = goalloc_stack_alloc(STACK_SIZE, 0);
    if (stack.low == NULL) {
        perror("goalloc_stack_alloc");
        exit(1);
    }
    struct coroutine *new = (struct coroutine *)stack.high - 1;
    void *top = (void *)((uintptr_t) new & ~(uintptr_t)15);
    *new = (struct coroutine){.low = stack.low, .number = number};
    context_make(&new->context, stack.low, top, body);
    enqueue(new);
    alive++;
}

#if defined(__SANITIZE_THREAD__)
static void run(struct coroutine *coroutine) {
    void *fiber = coroutine->context.fiber;
    size_t before = finished;
    context_switch(&scheduler, &coroutine->context);
    if (finished > before) {
        __tsan_destroy_fiber(fiber);
    }
}
#else
static void run(struct coroutine *coroutine) {
    context_switch(&scheduler, &coroutine->context);
}
#endif

static void run_first(void) {
    current = first;
    first = current->next;
    if (first == NULL) {
        last = &first;
    }
    run(current);
}

/* ---- the program ---- */

static size_t resident_bytes(void) {
    char line[256];
    size_t kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kilobytes = strtoull(line + 6, NULL, 10);
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kilobytes * 1024;
}

static int check_sum(uint64_t total) {
    uint64_t want = total * (total - 1) / 2 * (TURNS * (TURNS + 1) / 2);
    struct goalloc_stack_stats stats;
    goalloc_stack_flush();
    goalloc_stack_get_stats(&stats);
    printf("%llu coroutines ran, their sum is %llu; %zu stacks are in use\n",
           (unsigned long long)total, (unsigned long long)sum, stats.stacks);
    return sum == want && stats.stacks == 0 ? 0 : 1;
}

static int check_cost(size_t grown, size_t number) {
    size_t cost = grown / number;
    printf("%zu coroutines alive: the resident size grew by %zu KiB, %zu bytes for each\n", number,
           grown / 1024, cost);
    return COST_MOST == 0 || number < 10000 || cost <= COST_MOST ? 0 : 1;
}

int main(int argc, char **argv) {
    size_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t total = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000, spawned = 0;
    size_t before = resident_bytes();
    while (spawned < total && alive < most) {
        spawn(spawned++);
        run_first();
    }
    int faults = check_cost(resident_bytes() - before, alive > 0 ? alive : 1);
    while (alive > 0) {
        run_first();
        if (alive < most && spawned < total) {
            spawn(spawned++);
        }
    }
    return faults + check_sum(total);
}
