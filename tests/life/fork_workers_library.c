/* The library of fork_workers.c. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "life.h"

#define HELD 400
#define CHILD_BLOCKS 30000

static pthread_t worker;
static atomic_bool started;

void worker_start(void);
void worker_join(void);

/* In the parent for ever. */
static void *work(void *blocks) {
    static _Thread_local void *held[HELD];
    static _Thread_local size_t sizes[HELD];
    uint32_t random = (uint32_t)getpid();
    for (size_t n = 0; n != (uintptr_t)blocks; n++) {
        random = random * 1664525 + 1013904223;
        size_t i = (random >> 8) % HELD;
        if (held[i] != NULL) {
            life_check_block(held[i], sizes[i]);
            free(held[i]);
        }
        sizes[i] = 16 + (random >> 16) % (n % 16 == 0 ? 60000 : 1000);
        held[i] = life_block(sizes[i]);
    }
    for (size_t i = 0; i < HELD; i++) {
        free(held[i]);
    }
    return NULL;
}

static void start(size_t blocks) {
    CHECK(pthread_create(&worker, NULL, work, (void *)blocks) == 0, "no thread");
}

static void start_again(void) {
    if (atomic_load(&started)) {
        start(CHILD_BLOCKS);
        usleep(getpid() % 2 * 2000); /* either one may come first */
    }
}

__attribute__((constructor)) static void load(void) {
    CHECK(pthread_atfork(NULL, NULL, start_again) == 0, "pthread_atfork");
}

void worker_start(void) {
    start(SIZE_MAX);
    atomic_store(&started, true);
    usleep(5000);
}

void worker_join(void) {
    pthread_join(worker, NULL);
}
