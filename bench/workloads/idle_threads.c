/*
 * A thousand threads that allocate 1,000 bytes each and then only wait: thread pools, one thread
 * for each connection. Punishes per-thread heaps, and caches that are filled before they are
 * needed. Metric: resident memory for each thread, beyond what it had before its first malloc.
 */
#include "bench.h"

enum { THREADS = 1000, SIZE = 1000 };

struct idle {
    pthread_barrier_t all_run;
    pthread_barrier_t may_allocate;
    pthread_barrier_t all_hold;
    pthread_barrier_t may_end;
};

static void *run(void *argument) {
    struct worker *worker = argument;
    struct idle *idle = worker->shared;
    pthread_barrier_wait(&idle->all_run);
    pthread_barrier_wait(&idle->may_allocate);
    void *block = need(malloc(SIZE));
    touch(block, SIZE, (unsigned char)worker->index);
    pthread_barrier_wait(&idle->all_hold);
    pthread_barrier_wait(&idle->may_end);
    check_touched(block, SIZE, (unsigned char)worker->index);
    free(block);
    return NULL;
}

/* Runs as one more thread beside the others: it measures while they wait. */
static void *measure(void *argument) {
    struct worker *worker = argument;
    struct idle *idle = worker->shared;
    pthread_barrier_wait(&idle->all_run);
    double before = (double)rss_exact();
    pthread_barrier_wait(&idle->may_allocate);
    pthread_barrier_wait(&idle->all_hold);
    double after = (double)rss_exact();
    pthread_barrier_wait(&idle->may_end);
    metric("rss_per_thread", (after - before) / (worker->bench->threads - 1), "bytes");
    return NULL;
}

static void *run_or_measure(void *argument) {
    struct worker *worker = argument;
    return worker->index == 0 ? measure(worker) : run(worker);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = THREADS});
    struct idle idle;
    bench.threads++;
    pthread_barrier_init(&idle.all_run, NULL, bench.threads);
    pthread_barrier_init(&idle.may_allocate, NULL, bench.threads);
    pthread_barrier_init(&idle.all_hold, NULL, bench.threads);
    pthread_barrier_init(&idle.may_end, NULL, bench.threads);
    run_workers(&bench, run_or_measure, &idle);
    return 0;
}
