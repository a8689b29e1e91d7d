/*
 * Forks while six threads allocate and free. Whatever locks the heap has, a child must find them
 * usable: it allocates, frees inherited blocks, starts a thread and forks again. Before that, the
 * process's second thread forks, which has not allocated yet, while the first one does.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "life.h"

#define FORKS 1500
#define EARLY_FORKS 500
#define THREADS 6
#define INHERITED 20
#define BURST 500

static atomic_bool stop;

static void *allocate_until_stopped(void *arg) {
    uint32_t random = (uint32_t)(uintptr_t)arg * 2654435761u + 1;
    void *held[64] = {0};
    /* A nap between bursts: six busy threads would leave the forks no processor. */
    const struct timespec nap = {0, 200000};
    for (size_t i = 1; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        if (i % BURST == 0) {
            nanosleep(&nap, NULL);
        }
        random = random * 1664525 + 1013904223;
        void **slot = &held[(random >> 8) % COUNT_OF(held)];
        free(*slot);
        size_t size = (random >> 14) % (random % 32 == 0 ? 100000 : 1000);
        *slot = malloc(size);
        CHECK(*slot != NULL, "malloc failed in a thread");
    }
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        free(held[i]);
    }
    return NULL;
}

static void *allocate_once(void *arg) {
    for (size_t size = 8; size < 100000; size *= 3) {
        free(life_block(size));
    }
    return arg;
}

static void in_grandchild(void) {
    life_enter_child();
    free(life_block(300));
    free(life_block(70000));
    _exit(0);
}

static void in_child(int round, void **inherited) {
    life_enter_child();
    free(life_block(64));
    for (size_t i = 0; i < INHERITED; i++) {
        life_check_block(inherited[i], 100 * i);
        free(inherited[i]);
    }
    life_exercise_heap();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, allocate_once, NULL) == 0, "no thread in the child");
    CHECK(pthread_join(thread, NULL) == 0, "cannot join in the child");
    pid_t grandchild = fork();
    if (grandchild == 0) {
        in_grandchild();
    }
    life_wait(grandchild);
    if (round % 2 == 0) {
        exit(0);
    }
    _exit(0);
}

static void *fork_without_blocks(void *arg) {
    for (int i = 0; i < EARLY_FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            in_grandchild();
        }
        life_wait(child);
    }
    atomic_store(&stop, true);
    return arg;
}

static void fork_from_second_thread(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fork_without_blocks, NULL) == 0, "no thread");
    while (!atomic_load(&stop)) {
        free(life_keep(malloc(70000))); /* under the lock of the heap */
    }
    pthread_join(thread, NULL);
    atomic_store(&stop, false);
}

int main(void) {
    life_require_goalloc();
    void *inherited[INHERITED];
    for (size_t i = 0; i < INHERITED; i++) {
        inherited[i] = life_block(100 * i);
    }
    fork_from_second_thread();
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, allocate_until_stopped, (void *)i) == 0,
              "no thread");
    }
    for (int round = 0; round < FORKS; round++) {
        pid_t child = fork();
        if (child == 0) {
            in_child(round, inherited);
        }
        life_wait(child);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < INHERITED; i++) {
        life_check_block(inherited[i], 100 * i);
        free(inherited[i]);
    }
    return 0;
}
