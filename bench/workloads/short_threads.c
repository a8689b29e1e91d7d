/*
 * Thousands of threads that do a few hundred operations each and end: a server with a thread for
 * each request. Punishes expensive set-up and tear-down of a thread's cache, caches that are filled
 * with more than a short life needs, and memory that is lost with the thread.
 */
#include "pool.h"

enum { THREADS = 28000, OPERATIONS = 150, LIVE = 20 };

static void *request(void *argument) {
    struct worker *worker = argument;
    void *live[LIVE];
    for (int i = 0; i < LIVE; i++) {
        live[i] = object_make(rng_program_size(&worker->rng));
    }
    for (int i = 0; i < OPERATIONS; i++) {
        size_t slot = rng_below(&worker->rng, LIVE);
        object_drop(live[slot]);
        live[slot] = object_make(rng_program_size(&worker->rng));
    }
    for (int i = 0; i < LIVE; i++) {
        object_drop(live[i]);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    size_t rounds = scaled(&bench, THREADS) / bench.threads;
    for (size_t i = 0; i <= rounds; i++) {
        run_workers(&bench, request, NULL);
    }
    return 0;
}
