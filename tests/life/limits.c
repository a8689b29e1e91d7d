/*
 * Life under a limit of the address space, of data or of the stack, set before the program starts:
 *
 *     limits address|data|threads|hello|stack
 *
 * Memory ends with NULL and ENOMEM, not before most of the limit is used; a block can be made
 * smaller even then, and what is freed can be had again. The slow paths fit the smallest stack that
 * a thread can have.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "life.h"

#define THREADS 16
#define MAX_BLOCKS 20000
#define SMALLER 20000

struct scenario {
    const char *name;
    int resource;
    size_t limit;
    size_t obtainable; /* at least so much must be had, twice */
};

static const struct scenario scenarios[] = {
    {"address", RLIMIT_AS, 300000 * KIB, 200 * MIB}, {"data", RLIMIT_DATA, 65536 * KIB, 40 * MIB},
    {"threads", RLIMIT_AS, 200000 * KIB, 0},         {"hello", RLIMIT_AS, 65536 * KIB, 0},
    {"stack", RLIMIT_STACK, 128 * KIB, 0},
};

static size_t block_size(size_t i) {
    return (64 + (i * 37) % 961) * KIB;
}

/* To a size of which there is no memory left either. */
static void *shrink_at_the_end(void *block) {
    void **held = NULL, **next;
    while ((next = malloc(SMALLER)) != NULL) {
        *next = held;
        held = next;
    }
    block = realloc(block, SMALLER);
    CHECK(block != NULL, "no memory to make a block smaller");
    for (; held != NULL; held = next) {
        next = *held;
        free(held);
    }
    return block;
}

/* Allocates until there is no more, touches all of it and frees it. Returns the sum. */
static size_t take_all_and_free(void) {
    static void *blocks[MAX_BLOCKS];
    size_t count = 0;
    size_t sum = 0;
    for (;;) {
        CHECK(count < MAX_BLOCKS, "the limit does not hold");
        errno = 0;
        blocks[count] = malloc(block_size(count));
        if (blocks[count] == NULL) {
            break;
        }
        memset(blocks[count], 1, block_size(count));
        sum += block_size(count);
        count++;
    }
    CHECK(errno == ENOMEM, "errno is %d, want ENOMEM", errno);
    blocks[0] = shrink_at_the_end(blocks[0]);
    while (count > 0) {
        free(life_keep(blocks[--count]));
    }
    return sum;
}

static void run_until_exhausted(const struct scenario *scenario) {
    for (int round = 0; round < 3; round++) {
        size_t sum = take_all_and_free();
        CHECK(sum >= scenario->obtainable, "round %d: got %zu KiB, want %zu KiB", round, sum / KIB,
              scenario->obtainable / KIB);
        CHECK(sum <= scenario->limit, "got more than the limit");
    }
    life_exercise_heap();
}

static pthread_barrier_t barrier;

static void *allocate_together(void *arg) {
    pthread_barrier_wait(&barrier);
    void *held[100];
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        held[i] = life_block(i * 200);
    }
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        life_check_block(held[i], i * 200);
        free(held[i]);
    }
    pthread_barrier_wait(&barrier);
    return arg;
}

static void run_threads(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        int error = pthread_create(&threads[i], NULL, allocate_together, NULL);
        CHECK(error == 0, "thread %zu: %s", i, strerror(error));
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Enough for every class's magazines to come and go. */
static void use_many_small(void) {
    static void *blocks[20000];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = life_block(i * 7 % 2000);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        life_check_block(blocks[i], i * 7 % 2000);
        free(blocks[i]);
    }
}

static void *use_all(void *arg) {
    life_exercise_heap();
    use_many_small();
    free(realloc(life_block(3 * MIB), 9 * MIB));
    malloc_trim(0);
    return arg;
}

static void run_on_small_stacks(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    use_all(NULL);
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0, "stack size");
    CHECK(pthread_create(&thread, &attributes, use_all, NULL) == 0, "no thread");
    CHECK(pthread_join(thread, NULL) == 0, "cannot join");
}

static void say_hello(void) {
    CHECK(puts("hello, world") >= 0 && fflush(stdout) == 0, "puts failed");
    life_exercise_heap();
}

static const struct scenario *find(const char *name) {
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    life_fail(__FILE__, __LINE__, "there is no scenario %s", name);
}

/* Which scenario the restarted program is in follows from the limits it runs under. */
static const struct scenario *find_by_limit(void) {
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        struct rlimit limit;
        CHECK(getrlimit((__rlimit_resource_t)scenarios[i].resource, &limit) == 0, "getrlimit");
        if (limit.rlim_cur == scenarios[i].limit) {
            return &scenarios[i];
        }
    }
    life_fail(__FILE__, __LINE__, "the program is not limited");
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: limits address|data|threads|hello|stack");
    if (strcmp(argv[1], "limited") != 0) {
        const struct scenario *scenario = find(argv[1]);
        life_restart_limited(scenario->resource, scenario->limit);
    }
    life_require_goalloc();
    const struct scenario *scenario = find_by_limit();
    if (scenario->obtainable > 0) {
        run_until_exhausted(scenario);
    } else if (strcmp(scenario->name, "threads") == 0) {
        run_threads();
    } else if (scenario->resource == RLIMIT_STACK) {
        run_on_small_stacks();
    } else {
        say_hello();
    }
    return 0;
}
