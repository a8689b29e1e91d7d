/*
 * Threads that free and never allocate: the blocks of others must not pile up in their caches,
 * neither in a thread that ends nor in one that lives as long as the process.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "life.h"

#define BATCH 1000
#define ROUNDS 2000
#define WARM_UP 200
#define ALLOWED_GROWTH (2 * MIB)

static void *batch[BATCH];
static sem_t batch_is_full;
static sem_t batch_is_empty;

static void fill_batch(void) {
    for (size_t i = 0; i < BATCH; i++) {
        batch[i] = malloc(i % 100 == 0 ? 40000 : i % 800);
        CHECK(batch[i] != NULL, "malloc failed");
        *(char *)batch[i] = 1;
    }
}

static void *free_batch(void *arg) {
    for (size_t i = 0; i < BATCH; i++) {
        free(batch[i]);
    }
    return arg;
}

static void *free_batches(void *arg) {
    for (;;) {
        sem_wait(&batch_is_full);
        free_batch(NULL);
        sem_post(&batch_is_empty);
    }
    return arg;
}

static void by_short_thread(void) {
    pthread_t thread;
    fill_batch();
    CHECK(pthread_create(&thread, NULL, free_batch, NULL) == 0, "no thread");
    CHECK(pthread_join(thread, NULL) == 0, "cannot join");
}

static void by_long_thread(void) {
    sem_wait(&batch_is_empty);
    fill_batch();
    sem_post(&batch_is_full);
}

static void check_flat(void (*round)(void), const char *what) {
    for (int i = 0; i < WARM_UP; i++) {
        round();
    }
    size_t early = life_resident();
    for (int i = WARM_UP; i < ROUNDS; i++) {
        round();
    }
    size_t late = life_resident();
    CHECK(late <= early + ALLOWED_GROWTH, "%s: resident %zu KiB grew to %zu KiB", what, early / KIB,
          late / KIB);
}

int main(void) {
    life_require_goalloc();
    check_flat(by_short_thread, "short threads that free");
    pthread_t thread;
    sem_init(&batch_is_full, 0, 0);
    sem_init(&batch_is_empty, 0, 1);
    CHECK(pthread_create(&thread, NULL, free_batches, NULL) == 0, "no thread");
    check_flat(by_long_thread, "a long thread that frees");
    return 0;
}
