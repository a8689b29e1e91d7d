/*
 * Each thread replaces the objects of its live set at random, and then hands the set to a successor
 * thread and ends: a server under worker rotation, whose sessions outlive the threads that made
 * them. Punishes memory that stays with the thread that allocated it: frees from another thread,
 * caches of threads that are gone, heaps that nobody owns.
 */
#include "pool.h"

enum { GENERATIONS = 80, OBJECTS = 5000, REPLACEMENTS = 50000 };

static size_t session_size(struct rng *rng) {
    return rng_log_between(rng, 16, 1000);
}

struct chain {
    struct pool pool;
    struct rng rng;
};

static void *generation(void *argument) {
    struct chain *chain = argument;
    pool_replace(&chain->pool, REPLACEMENTS, &chain->rng, session_size);
    return NULL;
}

/* One thread after the other works on the same live set. */
static void *supervise(void *argument) {
    struct worker *worker = argument;
    struct chain chain = {.rng = worker->rng};
    chain.pool = pool_make(OBJECTS, &chain.rng, session_size);
    for (size_t i = scaled(worker->bench, GENERATIONS); i > 0; i--) {
        pthread_t id;
        require(pthread_create(&id, NULL, generation, &chain) == 0, "start a thread");
        pthread_join(id, NULL);
    }
    pool_drop(&chain.pool);
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    run_workers(&bench, supervise, NULL);
    return 0;
}
