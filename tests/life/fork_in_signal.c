/*
 * A signal handler that forks, at a high rate, while the thread it interrupts is inside malloc or
 * free. An allocator that takes its locks around fork would wait for the interrupted thread, that
 * is for itself. With the argument "threads" other threads hold the heap's locks as well; with
 * "stats" the interrupted thread reads the heap's statistics, which takes the rest of the locks.
 * Children end at once, or, where "goes-on" follows, go back to what was interrupted and allocate.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life.h"

#define FORKS 300
#define THREADS 3

static atomic_int forks;
static atomic_int failures;
static bool goes_on;
static atomic_bool is_child;

static void fork_and_reap(int signal_number) {
    (void)signal_number;
    int saved = errno;
    pid_t child = fork();
    if (child == 0 && goes_on) {
        life_enter_child();
        atomic_store(&is_child, true);
        return;
    }
    if (child == 0) {
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        atomic_fetch_add(&failures, 1);
    }
    atomic_fetch_add(&forks, 1);
    errno = saved;
}

static bool running(void) {
    if (atomic_load(&is_child)) {
        life_exercise_heap();
        _exit(0);
    }
    return atomic_load(&forks) < FORKS;
}

/* Sizes that keep missing the caches, so that the signal often finds a lock held. */
static void *churn(void *arg) {
    static const size_t sizes[] = {16, 200, 3000, 30000, 40000, 300000, 2000000};
    void *held[256] = {0};
    for (size_t i = 0; running(); i++) {
        void **slot = &held[(i * 7) % COUNT_OF(held)];
        free(*slot);
        *slot = malloc(sizes[i % (i % 16 == 0 ? COUNT_OF(sizes) : 4)]);
        CHECK(*slot != NULL, "malloc failed");
        if (i % 1000 == 0) {
            for (size_t k = 0; k < COUNT_OF(held); k++) {
                free(held[k]);
                held[k] = NULL;
            }
        }
    }
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        free(held[i]);
    }
    return arg;
}

static void *read_stats(void *arg) {
    while (running()) {
        struct mallinfo2 info = mallinfo2();
        CHECK(info.arena > 0, "a heap without memory");
    }
    return arg;
}

int main(int argc, char **argv) {
    life_require_goalloc();
    const char *mode = argc > 1 ? argv[1] : "";
    goes_on = argc > 2 && strcmp(argv[2], "goes-on") == 0;
    size_t threads = strcmp(mode, "") != 0 ? THREADS : 0;
    void *(*work)(void *) = strcmp(mode, "stats") == 0 ? read_stats : churn;
    struct sigaction action = {.sa_handler = fork_and_reap, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGPROF, &action, NULL) == 0, "sigaction failed");
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    CHECK(setitimer(ITIMER_PROF, &timer, NULL) == 0, "setitimer failed");
    pthread_t others[THREADS];
    for (size_t i = 0; i < threads; i++) {
        CHECK(pthread_create(&others[i], NULL, work, NULL) == 0, "no thread");
    }
    work(NULL);
    timer.it_value.tv_usec = 0;
    setitimer(ITIMER_PROF, &timer, NULL);
    for (size_t i = 0; i < threads; i++) {
        pthread_join(others[i], NULL);
    }
    CHECK(atomic_load(&failures) == 0, "%d forks failed", atomic_load(&failures));
    life_exercise_heap();
    return 0;
}
