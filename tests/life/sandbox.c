/*
 * A service that may make few system calls, and is ended by any other: of those that systemd's set
 * @system-service has, what a program needs that uses memory, threads and time.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "life.h"

static const int allowed[] = {
    SYS_mmap,          SYS_munmap,
    SYS_mremap,        SYS_mprotect,
    SYS_madvise,       SYS_brk,
    SYS_futex,         SYS_sched_yield,
    SYS_prctl,         SYS_prlimit64,
    SYS_clock_gettime, SYS_rt_sigprocmask,
    SYS_clone,         SYS_clone3,
    SYS_rseq,          SYS_set_robust_list,
    SYS_write,         SYS_exit,
    SYS_exit_group,    SYS_sched_getaffinity,
    SYS_rt_sigreturn,  SYS_clock_nanosleep,
    SYS_getpid,        SYS_gettid,
    SYS_rt_sigaction,
};

static void begin_sandbox(void) {
    struct sock_filter filter[2 * COUNT_OF(allowed) + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    size_t n = 1;
    for (size_t i = 0; i < COUNT_OF(allowed); i++) {
        struct sock_filter is_it = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        filter[n++] = is_it;
        filter[n++] = allow;
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {(unsigned short)n, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        printf("skipped: no filters here: %s\n", strerror(errno));
        exit(LIFE_SKIPPED);
    }
}

/* Zeroed blocks that were written before, small to large. */
static void use_zeroed(void) {
    for (size_t size = 1; size <= 64 * MIB; size *= 2) {
        for (int round = 0; round < 3; round++) {
            char *block = life_keep(calloc(1, size));
            CHECK(block != NULL && block[0] == 0 && block[size / 2] == 0 && block[size - 1] == 0,
                  "calloc of %zu", size);
            memset(block, 1, size);
            free(block);
        }
    }
}

static void grow(void) {
    char *block = NULL;
    for (size_t size = 16; size <= 64 * MIB; size *= 2) {
        block = life_keep(realloc(block, size));
        CHECK(block != NULL, "realloc to %zu", size);
        block[size - 1] = 1;
    }
    free(block);
}

static void *use_heap(void *unused) {
    life_exercise_heap();
    use_zeroed();
    grow();
    return unused;
}

int main(void) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    life_require_goalloc();
    begin_sandbox();
    use_heap(NULL);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, use_heap, NULL) == 0, "no thread");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    malloc_trim(0);
    return 0;
}
