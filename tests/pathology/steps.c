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
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "pathology.h"

#define OBJECTS 8000
#define SIZE 64
#define FREES 3000
#define LIVE 1000
#define PAIRS 3000
#define BUFFERS 500

static void *objects[OBJECTS];
static uint64_t seed = 1;

/*
 * Time stands still: a process that is traced step by step is so slow that most of its instructions
 * could be what is done twice a second. The library finds no vDSO to ask, and the kernel says that
 * it has answered.
 */
unsigned long __getauxval(unsigned long type);

unsigned long getauxval(unsigned long type) {
    return type == AT_SYSINFO_EHDR ? 0 : __getauxval(type);
}

static void stop_clock(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(filter), filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "no filter");
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
    stop_clock();
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        if (strcmp(argv[1], scenarios[i].name) == 0) {
            measure(&scenarios[i]);
            return 0;
        }
    }
    life_fail(__FILE__, __LINE__, "there is no scenario %s", argv[1]);
}
