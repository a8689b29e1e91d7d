/*
 * A library to be preloaded beside goalloc whose constructor, run before goalloc's own when it
 * stands behind it in LD_PRELOAD, allocates, starts a thread that allocates, and forks.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "life.h"

#define EARLY_BLOCKS 100

void early_check(void);

static void *early_blocks[EARLY_BLOCKS];

static size_t early_size(size_t i) {
    return i * i * 9;
}

static void *in_thread(void *arg) {
    life_exercise_heap();
    return arg;
}

__attribute__((constructor)) static void allocate_early(void) {
    for (size_t i = 0; i < EARLY_BLOCKS; i++) {
        early_blocks[i] = life_block(early_size(i));
        free(life_block(early_size(i) + 1));
    }
    life_exercise_heap();
    CHECK(setenv("LIFE_EARLY_LIBRARY", "loaded", 1) == 0, "setenv failed");
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0, "no thread");
    CHECK(pthread_join(thread, NULL) == 0, "cannot join");
    pid_t child = fork();
    if (child == 0) {
        life_enter_child();
        life_exercise_heap();
        _exit(0);
    }
    life_wait(child);
}

/* Called by main: what the constructor allocated is intact and can be freed. */
void early_check(void) {
    for (size_t i = 0; i < EARLY_BLOCKS; i++) {
        life_check_block(early_blocks[i], early_size(i));
        free(early_blocks[i]);
    }
}
