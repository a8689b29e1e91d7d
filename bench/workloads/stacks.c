/*
 * Stacks for coroutines: each thread keeps some alive and replaces a random one, as a server does
 * with a coroutine for each request; of each stack the top is written and checked. The same is done
 * by goalloc's pools, with and without guards, and in the ways that programs do without them: by
 * malloc, by a free list of their own in front of malloc, and by a mapping with a guard. Each has a
 * metric: nanoseconds for a pair of allocating and freeing. Stands for coroutine libraries.
 *
 * It needs goalloc_stack_alloc in the process, so it is no comparison of allocators.
 */
#include "bench.h"

enum { LIVE = 32, STACK = 8192, PAIRS = 6000000, SLOW_PAIRS = 100000 };

struct goalloc_stack {
    void *low;
    void *high;
};

__attribute__((weak)) struct goalloc_stack goalloc_stack_alloc(size_t size, unsigned flags);
__attribute__((weak)) void goalloc_stack_free(void *low);

/* ---- the ways ---- */

static void *pool_take(void) {
    return goalloc_stack_alloc(STACK, 0).low;
}

static void *guarded_take(void) {
    return goalloc_stack_alloc(STACK, 1).low;
}

static void pool_give(void *low) {
    goalloc_stack_free(low);
}

static void *malloc_take(void) {
    return malloc(STACK);
}

static void malloc_give(void *low) {
    free(low);
}

/* Each thread's own, through the first words of the stacks. */
static _Thread_local void *list;

static void *list_take(void) {
    void *low = list;
    if (low == NULL) {
        return malloc(STACK);
    }
    list = *(void **)low;
    return low;
}

static void list_give(void *low) {
    *(void **)low = list;
    list = low;
}

static void *mapping_take(void) {
    char *base = mmap(NULL, OS_PAGE + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    require(base != MAP_FAILED && mprotect(base, OS_PAGE, PROT_NONE) == 0, "map a stack");
    return base + OS_PAGE;
}

static void mapping_give(void *low) {
    munmap((char *)low - OS_PAGE, OS_PAGE + STACK);
}

static const struct way {
    const char *name;
    void *(*take)(void);
    void (*give)(void *low);
    size_t pairs;
} ways[] = {
    {"malloc", malloc_take, malloc_give, PAIRS},
    {"list", list_take, list_give, PAIRS},
    {"pool", pool_take, pool_give, PAIRS},
    {"guarded_pool", guarded_take, pool_give, PAIRS},
    {"guarded_mapping", mapping_take, mapping_give, SLOW_PAIRS},
};

/* ---- the work ---- */

static uint64_t *top_of(void *low) {
    return (uint64_t *)((char *)low + STACK) - 1;
}

static void *replace(void *argument) {
    struct worker *worker = argument;
    const struct way *way = worker->shared;
    void *live[LIVE];
    for (size_t i = 0; i < LIVE; i++) {
        live[i] = need(way->take());
        *top_of(live[i]) = i;
    }
    for (size_t n = scaled(worker->bench, way->pairs) / worker->bench->threads; n > 0; n--) {
        size_t i = rng_below(&worker->rng, LIVE);
        CHECK(*top_of(live[i]) == i);
        way->give(live[i]);
        live[i] = need(way->take());
        *top_of(live[i]) = i;
    }
    for (size_t i = 0; i < LIVE; i++) {
        CHECK(*top_of(live[i]) == i);
        way->give(live[i]);
    }
    return NULL;
}

/* Nanoseconds of all threads together for a pair. */
static double measure(const struct bench *bench, const struct way *way) {
    uint64_t start = now_ns();
    run_workers(bench, replace, (void *)way);
    return (double)(now_ns() - start) / (double)scaled(bench, way->pairs);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    double ns[sizeof ways / sizeof ways[0]];
    require(goalloc_stack_alloc != NULL, "find goalloc_stack_alloc");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        ns[i] = measure(&bench, &ways[i]);
        metric(ways[i].name, ns[i], "ns");
    }
    metric("pool_to_malloc", ns[2] / ns[0], "ratio");
    metric("guarded_mapping_to_pool", ns[4] / ns[3], "ratio");
    return 0;
}
