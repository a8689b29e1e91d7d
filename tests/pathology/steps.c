/*
 * Patterns that take some allocators off their fast path for good, measured in instructions, which
 * are the same on every machine and under any load. The bounds are averages over a few thousand
 * calls, slow paths included; the loops around the calls are counted as well.
 *
 *     steps full_spans     frees of every other object of spans that are full
 *     steps first_frees    the first frees of a thread that does not allocate
 *     steps replacement    random replacement among a thousand objects of mixed sizes
 *     steps buffers        one buffer after the other, just too large for a small object
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pathology.h"

#define OBJECTS 8000
#define SIZE 64
#define FREES 3000
#define LIVE 1000
#define PAIRS 3000
#define BUFFERS 500

static void *objects[OBJECTS];
static uint64_t seed = 1;

/* Time stands still: a process that is traced step by step is so slow that most of its instructions
 * could be what is done twice a second. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    (void)clock;
    *now = (struct timespec){.tv_sec = 1};
    return 0;
}

static void allocate_all(void) {
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = touched(SIZE);
    }
}

static void free_every_other(void) {
    for (size_t i = 0; i < FREES; i++) {
        free(objects[2 * i]);
    }
}

static void only_free(size_t index) {
    (void)index;
    for (size_t i = 0; i < FREES; i++) {
        free(objects[i]);
    }
}

static void start_thread_that_frees(void) {
    run_threads(1, only_free);
}

static size_t next_size(void) {
    return random_below(&seed, 64) * 16 + 1;
}

static void replace(size_t times) {
    for (size_t n = 0; n < times; n++) {
        size_t i = random_below(&seed, LIVE);
        free(objects[i]);
        objects[i] = malloc(next_size());
        CHECK(objects[i] != NULL, "malloc failed");
    }
}

static void warm_up(void) {
    replace(100 * LIVE);
}

static void replace_pairs(void) {
    replace(PAIRS);
}

static void take_and_drop(size_t times) {
    for (size_t n = 0; n < times; n++) {
        char *buffer = malloc(n % 2 == 0 ? 40 * KIB : 64 * KIB);
        CHECK(buffer != NULL, "malloc failed");
        *buffer = 1;
        free(buffer);
    }
}

static void warm_up_buffers(void) {
    take_and_drop(100);
}

static void use_buffers(void) {
    take_and_drop(BUFFERS);
}

struct scenario {
    const char *name;
    void (*prepare)(void);
    void (*work)(void);
    size_t times;
    size_t allowed;
};

static const struct scenario scenarios[] = {
    {"full_spans", allocate_all, free_every_other, FREES, 100},
    {"first_frees", allocate_all, start_thread_that_frees, FREES, 60},
    {"replacement", warm_up, replace_pairs, PAIRS, 90},
    {"buffers", warm_up_buffers, use_buffers, BUFFERS, 500},
};

static void measure(const struct scenario *scenario) {
    size_t steps = instructions(scenario->prepare, scenario->work) / scenario->times;
    printf("%zu instructions each\n", steps);
    fflush(stdout);
    CHECK(steps <= scenario->allowed, "%zu instructions, want at most %zu", steps,
          scenario->allowed);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: steps full_spans|first_frees|replacement|buffers");
    life_require_goalloc();
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        if (strcmp(argv[1], scenarios[i].name) == 0) {
            measure(&scenarios[i]);
            return 0;
        }
    }
    life_fail(__FILE__, __LINE__, "there is no scenario %s", argv[1]);
}
