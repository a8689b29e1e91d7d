/*
 * All to all: in each round each thread allocates objects for each other thread, all meet, and each
 * frees what it was given. Stands for shuffles, work stealing and actors. Punishes allocators that
 * expect frees mostly from the allocating thread, or contention when all send to all.
 */
#include "pool.h"

enum { ROUNDS = 80, OBJECTS = 24000 };

static size_t object_bytes(struct rng *rng) {
    return rng_log_between(rng, 16, 255);
}

struct exchange {
    pthread_barrier_t meeting;
    size_t each;   /* objects from one thread for one other */
    void **object; /* [from][to][each] */
};

static void **box(struct exchange *exchange, unsigned threads, unsigned from, unsigned to) {
    return &exchange->object[((size_t)from * threads + to) * exchange->each];
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct exchange *exchange = worker->shared;
    unsigned threads = worker->bench->threads, me = worker->index;
    for (size_t round = scaled(worker->bench, ROUNDS); round > 0; round--) {
        for (unsigned to = 0; to < threads; to++) {
            void **mine = box(exchange, threads, me, to);
            for (size_t i = 0; i < exchange->each; i++) {
                mine[i] = object_make(object_bytes(&worker->rng));
            }
        }
        pthread_barrier_wait(&exchange->meeting);
        for (unsigned from = 0; from < threads; from++) {
            void **theirs = box(exchange, threads, from, me);
            for (size_t i = 0; i < exchange->each; i++) {
                object_drop(theirs[i]);
            }
        }
        pthread_barrier_wait(&exchange->meeting);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    struct exchange exchange = {.each = OBJECTS / bench.threads + 1};
    size_t boxes = (size_t)bench.threads * bench.threads;
    exchange.object = table_make(boxes * exchange.each, sizeof(void *));
    pthread_barrier_init(&exchange.meeting, NULL, bench.threads);
    run_workers(&bench, run, &exchange);
    return 0;
}
