/*
 * The cost of one operation as one thing grows: the live heap (--live 1m to 8g), the number of
 * threads (--threads 1 to 64), the size of the object (--size 8 to 64m). Each thread replaces
 * objects of its share of the live set at random; filling the set is not measured. Punishes
 * whatever grows with any of the three. Metrics: nanoseconds for one free and one malloc, and
 * resident to live bytes.
 */
#include "bench.h"

enum { OPERATIONS = 8000000, PAGES_MOST = 16, FEW = 4 };

struct curve {
    pthread_barrier_t meeting;
    size_t objects;    /* of each thread */
    size_t operations; /* of each thread */
    size_t step;       /* between the bytes that are written */
    size_t before;     /* resident bytes without objects */
    uint64_t start;
    uint64_t end;
};

static void *make(size_t size, size_t step) {
    volatile unsigned char *bytes = need(malloc(size));
    for (size_t i = 0; i < size; i += step) {
        bytes[i] = (unsigned char)size;
    }
    return (void *)(uintptr_t)bytes;
}

static void replace(struct worker *worker, unsigned char **object) {
    struct curve *curve = worker->shared;
    size_t size = worker->bench->size;
    for (size_t i = curve->operations; i > 0; i--) {
        unsigned char **slot = &object[rng_below(&worker->rng, curve->objects)];
        CHECK(**slot == (unsigned char)size);
        free(*slot);
        *slot = make(size, curve->step);
    }
}

static void report(const struct worker *worker) {
    struct curve *curve = worker->shared;
    double threads = worker->bench->threads;
    double live = (double)curve->objects * (double)worker->bench->size * threads;
    metric("operation", (double)(curve->end - curve->start) / (double)curve->operations / threads,
           "ns");
    metric("rss_to_live", (double)(rss_exact() - curve->before) / live, "ratio");
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct curve *curve = worker->shared;
    unsigned char **object = table_make(curve->objects, sizeof *object);
    if (pthread_barrier_wait(&curve->meeting) == PTHREAD_BARRIER_SERIAL_THREAD) {
        curve->before = rss_exact();
    }
    pthread_barrier_wait(&curve->meeting);
    for (size_t i = 0; i < curve->objects; i++) {
        object[i] = make(worker->bench->size, curve->step);
    }
    if (pthread_barrier_wait(&curve->meeting) == PTHREAD_BARRIER_SERIAL_THREAD) {
        curve->start = now_ns();
    }
    pthread_barrier_wait(&curve->meeting);
    replace(worker, object);
    if (pthread_barrier_wait(&curve->meeting) == PTHREAD_BARRIER_SERIAL_THREAD) {
        curve->end = now_ns();
        report(worker);
    }
    pthread_barrier_wait(&curve->meeting);
    for (size_t i = 0; i < curve->objects; i++) {
        free(object[i]);
    }
    return NULL;
}

/* A large object is written in some places only and costs more: fewer operations. */
static void plan(const struct bench *bench, struct curve *curve) {
    size_t objects = bench->live / bench->size / bench->threads;
    size_t operations = scaled(bench, OPERATIONS);
    size_t pages = bench->size / OS_PAGE;
    operations /= 1 + (pages < PAGES_MOST ? pages : PAGES_MOST);
    operations /= bench->live > 256 * MIB ? 2 : 1;
    operations /= bench->live > 4 * GIB ? 2 : 1;
    curve->objects = objects < FEW ? FEW : objects;
    curve->operations = operations / bench->threads + 1;
    curve->step = pages < PAGES_MOST ? OS_PAGE : bench->size / PAGES_MOST;
    pthread_barrier_init(&curve->meeting, NULL, bench->threads);
}

int main(int argc, char **argv) {
    struct bench bench =
        bench_arguments(argc, argv, (struct bench){.threads = 1, .live = 64 * MIB, .size = 128});
    struct curve curve = {0};
    require(bench.size > 0, "make objects of no bytes");
    plan(&bench, &curve);
    run_workers(&bench, run, &curve);
    return 0;
}
