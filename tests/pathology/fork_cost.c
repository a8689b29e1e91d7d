/*
 * A process with 200 threads forks: a server that starts helpers, or writes its state from a
 * child. An allocator that takes all of its locks before each fork, or visits the heap of each
 * thread after it, makes forks slow. The C library's fork is compared with the bare system call,
 * which no handler of the allocator sees; the handlers may take as long again.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pathology.h"

#define THREADS 200
#define FORKS 60
#define ALLOWED_RATIO 2

static pthread_barrier_t cached;
static pthread_barrier_t may_end;

/* Leaves something in the thread's cache for each size. */
static void *use_heap(void *argument) {
    for (size_t size = 8; size < 8 * KIB; size += size / 2) {
        void *blocks[20];
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = touched(size);
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            free_touched(blocks[i], size);
        }
    }
    pthread_barrier_wait(&cached);
    pthread_barrier_wait(&may_end);
    return argument;
}

static void wait_for(pid_t child) {
    CHECK(waitpid(child, NULL, 0) == child, "no child");
}

static uint64_t time_fork(void) {
    uint64_t start = now_ns();
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    wait_for(child);
    return now_ns() - start;
}

static uint64_t time_bare_fork(void) {
    uint64_t start = now_ns();
    pid_t child = (pid_t)syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        syscall(SYS_exit_group, 0);
    }
    wait_for(child);
    return now_ns() - start;
}

int main(void) {
    life_require_goalloc();
    static pthread_t threads[THREADS];
    pthread_barrier_init(&cached, NULL, THREADS + 1);
    pthread_barrier_init(&may_end, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, use_heap, NULL) == 0, "no thread");
    }
    pthread_barrier_wait(&cached);
    uint64_t with_handlers = UINT64_MAX, bare = UINT64_MAX;
    for (int i = 0; i < FORKS; i++) {
        with_handlers = least(with_handlers, time_fork());
        bare = least(bare, time_bare_fork());
    }
    pthread_barrier_wait(&may_end);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("fork %.2f ms, bare %.2f ms\n", (double)with_handlers / NS_PER_MS,
           (double)bare / NS_PER_MS);
    fflush(stdout);
    CHECK(with_handlers <= ALLOWED_RATIO * bare, "%.1f times as long",
          (double)with_handlers / (double)bare);
    return 0;
}
