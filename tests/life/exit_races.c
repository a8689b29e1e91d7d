/*
 * Processes that end while their threads allocate: by exit, by _exit, by quick_exit and by a
 * return from main. A hundred times, the program starts itself as the process that ends so.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

#define ENDINGS 100
#define THREADS 4

static atomic_int busy;

static void *churn(void *arg) {
    for (size_t i = 0;; i++) {
        free(life_block((i * 97) % 3000));
        free(life_block((i * 97) % 70000));
        if (i == 10) {
            atomic_fetch_add(&busy, 1);
        }
    }
    return arg;
}

static void allocate_at_exit(void) {
    life_exercise_heap();
}

static int end_in_some_way(int way) {
    life_require_goalloc();
    alarm(LIFE_CHILD_SECONDS);
    atexit(allocate_at_exit);
    at_quick_exit(allocate_at_exit);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, churn, NULL) == 0, "no thread");
    }
    while (atomic_load(&busy) < THREADS) {
        life_exercise_heap();
    }
    switch (way) {
    case 0:
        exit(0);
    case 1:
        _exit(0);
    case 2:
        quick_exit(0);
    default:
        return 0;
    }
}

int main(int argc, char **argv) {
    if (argc > 1) {
        return end_in_some_way(atoi(argv[1]));
    }
    life_require_goalloc();
    for (int i = 0; i < ENDINGS; i++) {
        char way[16];
        snprintf(way, sizeof(way), "%d", i % 4);
        char *const arguments[] = {argv[0], way, NULL};
        pid_t child;
        CHECK(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0,
              "cannot start the program again");
        life_wait(child);
    }
    return 0;
}
