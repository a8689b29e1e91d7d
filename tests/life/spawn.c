/*
 * Children that run no fork handlers: vfork, posix_spawn, system, popen, a bare clone, and clone with
 * shared memory whose child allocates on a stack of its own. Other threads keep the heap busy meanwhile.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life.h"

#define ROUNDS 100
#define THREADS 3
#define STACK_BYTES ((size_t)256 << 10)

static atomic_bool stop;

static void *churn(void *arg) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        life_exercise_heap();
    }
    return arg;
}

static void by_vfork(void) {
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    life_wait(child);
}

static void by_posix_spawn(void) {
    char *const argv[] = {"true", NULL};
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0, "file actions");
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0) == 0, "addopen");
    pid_t child;
    CHECK(posix_spawnp(&child, "true", &actions, NULL, argv, environ) == 0, "posix_spawnp failed");
    posix_spawn_file_actions_destroy(&actions);
    life_wait(child);
}

static void by_popen(void) {
    FILE *pipe = popen("echo text", "r");
    CHECK(pipe != NULL, "popen failed");
    char *line = NULL;
    size_t capacity = 0;
    CHECK(getline(&line, &capacity, pipe) == 5, "popen: no line");
    free(line);
    CHECK(pclose(pipe) == 0, "pclose failed");
    CHECK(system("exit 0") == 0, "system failed");
}

/* Shares the memory and the thread-local storage of the suspended parent. */
static int allocate_in_clone(void *arg) {
    void **result = arg;
    for (size_t size = 10; size < 1000000; size *= 7) {
        free(life_block(size));
    }
    *result = life_block(5000);
    return 0;
}

static void by_clone(char *stack) {
    void *result = NULL;
    pid_t child =
        clone(allocate_in_clone, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, &result);
    life_wait(child);
    CHECK(result != NULL, "the cloned child did not allocate");
    life_check_block(result, 5000);
    free(result);
}

/* Emulators cannot tell the child of one from its parent: they take any advice and do nothing. */
static bool system_wipes(void *page) {
    enum { NO_SUCH_ADVICE = 12345 };
    return madvise(page, 4096, NO_SUCH_ADVICE) != 0;
}

/* What locks the other threads hold stays behind in it. */
static void by_bare_clone(void) {
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        life_enter_child();
        life_exercise_heap();
        _exit(0);
    }
    life_wait(child);
}

int main(void) {
    life_require_goalloc();
    char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED, "no stack");
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0, "no thread");
    }
    for (int i = 0; i < ROUNDS; i++) {
        by_vfork();
        by_posix_spawn();
        by_clone(stack);
        if (system_wipes(stack)) {
            by_bare_clone();
        }
        life_exercise_heap();
        if (i % 10 == 0) {
            by_popen();
        }
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
