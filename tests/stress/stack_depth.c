/*
 * How much stack the library needs: what runs on a coroutine's 2 KiB must fit. Each operation runs
 * on a painted stack, often enough to go through the slow paths, in a thread that is new to the
 * library; the deepest byte that changed tells. Fails when one takes more than the limit that the
 * documentation may promise.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <goalloc.h>
#include <goalloc_stack.h>

#include "../examples/context.h"

enum { SIZE = 65536, MANY = 20000, PAINT = 0xa5 };

static void *blocks[MANY];
static struct context home, away;
static struct goalloc_stack stack;
static void (*operation)(void);

static void small_blocks(void) {
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = goalloc_malloc(i % 3000);
    }
    for (size_t i = 0; i < MANY; i++) {
        goalloc_free(blocks[i]);
    }
}

static void large_blocks(void) {
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = goalloc_realloc(goalloc_calloc(1, 40000 + i * 1000), 100000 + i * 5000);
    }
    for (size_t i = 0; i < 200; i++) {
        goalloc_free(blocks[i]);
    }
}

static void stacks(void) {
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = goalloc_stack_alloc((size_t)2048 << i % 6, i / 6 % 4).low;
    }
    for (size_t i = 0; i < 1000; i++) {
        goalloc_stack_free(blocks[i]);
    }
    goalloc_stack_flush();
}

static void trim(void) {
    small_blocks();
    goalloc_trim(0);
}

static void retire(void) {
    goalloc_stack_retire(stack.low);
}

static void body(void) {
    context_begin(&home);
    operation();
    context_leave(&away, &home);
}

static void *run(void *depth) {
    const unsigned char *bytes = stack.low;
    size_t untouched = 0;
    context_make(&away, stack.low, stack.high, body);
    context_switch(&home, &away);
    while (untouched < SIZE && bytes[untouched] == PAINT) {
        untouched++;
    }
    *(size_t *)depth = SIZE - untouched;
    return NULL;
}

static int measure(const char *name, void (*what)(void), size_t most) {
    size_t depth = 0;
    pthread_t thread;
    stack = goalloc_stack_alloc(SIZE, 0);
    memset(stack.low, PAINT, SIZE);
    operation = what;
    if (pthread_create(&thread, NULL, run, &depth) != 0 || pthread_join(thread, NULL) != 0) {
        return 1;
    }
    if (what != retire) {
        goalloc_stack_free(stack.low);
    }
    printf("%s: %zu bytes of stack, at most %zu\n", name, depth, most);
    return depth > most;
}

int main(int argc, char **argv) {
    size_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 1536;
    return measure("small blocks", small_blocks, most) +
           measure("large blocks", large_blocks, most) + measure("stacks", stacks, most) +
           measure("retiring", retire, most) + measure("trimming", trim, most);
}
