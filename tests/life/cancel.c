/*
 * Threads that are cancelled while they allocate. No call of the heap is a cancellation point, so
 * each ends where it asks for it; its clean-up handler and key destructor free what it held, and
 * nothing stays behind.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

enum { THREADS = 4, ROUNDS = 200, WARM_UP = 50, HELD = 40 };

#define ALLOWED_GROWTH (16 * KIB)

struct work {
    pthread_t thread;
    atomic_bool started;
    atomic_bool in_heap; /* cancelled there, it would stay so */
    void *held[HELD];
};

static atomic_ulong cleaned;

static void clean_up(void *argument) {
    struct work *work = argument;
    CHECK(!atomic_load(&work->in_heap), "cancelled inside the heap");
    for (size_t i = 0; i < HELD; i++) {
        free(work->held[i]);
    }
    free(life_block(5000));
    atomic_fetch_add(&cleaned, 1);
}

static void allocate(struct work *work, size_t i) {
    size_t slot = i % HELD;
    atomic_store(&work->in_heap, true);
    free(work->held[slot]);
    work->held[slot] = life_block(i * 97 % (i % 8 == 0 ? 90000 : 3000));
    work->held[slot] = realloc(work->held[slot], i * 31 % 50000 + 1);
    atomic_store(&work->in_heap, false);
}

static void *churn(void *argument) {
    struct work *work = argument;
    pthread_cleanup_push(clean_up, work);
    for (size_t i = 0;; i++) {
        allocate(work, i);
        atomic_store(&work->started, true);
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void run_round(void) {
    static struct work works[THREADS];
    memset(works, 0, sizeof works);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&works[i].thread, NULL, churn, &works[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < THREADS; i++) {
        while (!atomic_load(&works[i].started)) {
            life_exercise_heap();
        }
        CHECK(pthread_cancel(works[i].thread) == 0, "cannot cancel");
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        CHECK(pthread_join(works[i].thread, &result) == 0, "cannot join");
        CHECK(result == PTHREAD_CANCELED, "the thread was not cancelled");
    }
}

int main(void) {
    life_require_goalloc();
    size_t early = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        run_round();
        early = i == WARM_UP ? mallinfo2().uordblks : early;
    }
    size_t late = mallinfo2().uordblks;
    CHECK(atomic_load(&cleaned) == THREADS * ROUNDS, "%lu clean-ups", atomic_load(&cleaned));
    CHECK(late <= early + ALLOWED_GROWTH, "%zu bytes are in use, were %zu early on", late, early);
    life_exercise_heap();
    return 0;
}
