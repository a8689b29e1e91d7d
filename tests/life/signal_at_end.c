/*
 * A signal handler that frees a block while its thread ends, inside the slow path or after its last
 * call: the block is not lost, whenever the signal comes.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

#define THREADS 3000
#define WARM_UP 500
#define GIFT_BYTES (64 * KIB)
#define ALLOWED_GROWTH (4 * MIB)

static _Atomic(void *) gift;
static atomic_bool ready;

static void free_gift(int signal_number) {
    (void)signal_number;
    free(atomic_exchange(&gift, NULL));
}

/* Fills the cache, so that there is something to do at the end. */
static void *fill_cache(void *arg) {
    void *blocks[60];
    for (size_t size = 16; size <= 8192; size *= 2) {
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = life_block(size);
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            free(blocks[i]);
        }
    }
    atomic_store(&ready, true);
    return arg;
}

static void run_thread(int number) {
    pthread_t thread;
    atomic_store(&ready, false);
    atomic_store(&gift, life_block(GIFT_BYTES));
    CHECK(pthread_create(&thread, NULL, fill_cache, NULL) == 0, "no thread");
    while (!atomic_load(&ready)) {
    }
    for (volatile int i = 0; i < number % 200 * 20; i++) { /* another moment each time */
    }
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    free_gift(0);
}

int main(void) {
    life_require_goalloc();
    CHECK(signal(SIGUSR1, free_gift) != SIG_ERR, "signal");
    size_t early = 0;
    for (int i = 0; i < THREADS; i++) {
        run_thread(i);
        early = i == WARM_UP ? life_resident() : early;
    }
    size_t late = life_resident();
    CHECK(late <= early + ALLOWED_GROWTH, "resident %zu KiB, %zu KiB before", late / KIB,
          early / KIB);
    return 0;
}
