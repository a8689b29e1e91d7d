/*
 * Forks with handlers that allocate and free before the fork, after it in the parent and in the
 * child, while other threads allocate. Nobody may hang, and the child's heap works.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "life.h"

enum { THREADS = 3, FORKS = 300, KEPT = 8 };

static atomic_bool finished;
static void *kept[KEPT];

static void before_fork(void) {
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = life_block(i * 700);
    }
}

static void after_fork(void) {
    for (size_t i = 0; i < KEPT; i++) {
        life_check_block(kept[i], i * 700);
        free(kept[i]);
    }
    life_exercise_heap();
}

static void *churn(void *arg) {
    for (size_t i = 0; !atomic_load(&finished); i++) {
        free(life_block(i * 97 % (i % 10 == 0 ? 70000 : 2000)));
    }
    return arg;
}

int main(void) {
    pthread_t threads[THREADS];
    CHECK(pthread_atfork(before_fork, after_fork, after_fork) == 0, "no handlers");
    life_require_goalloc();
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0, "no thread");
    }
    for (size_t i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            life_enter_child();
            life_exercise_heap();
            _exit(0);
        }
        life_wait(child);
    }
    atomic_store(&finished, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
