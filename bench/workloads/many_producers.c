/*
 * Many producers and one consumer that never allocates: a collector of metrics or log lines. All
 * frees happen in one thread, whose cache has no use for what it gets. Punishes caches that keep
 * what only others need, and a slow way from the freeing thread back to the allocating ones.
 */
#include "channel.h"
#include "pool.h"

enum { BATCHES = 100000 };

static size_t line_size(struct rng *rng) {
    return rng_between(rng, 24, 200);
}

static void consume(struct channel *channel) {
    struct batch batch;
    while (channel_get(channel, &batch)) {
        for (size_t i = 0; i < batch.count; i++) {
            object_drop(batch.item[i]);
        }
    }
}

static void produce(struct worker *worker, struct channel *channel) {
    size_t batches = scaled(worker->bench, BATCHES) / (worker->bench->threads - 1);
    for (size_t n = 0; n <= batches; n++) {
        struct batch batch = {.count = BATCH};
        for (int i = 0; i < BATCH; i++) {
            batch.item[i] = object_make(line_size(&worker->rng));
        }
        channel_put(channel, &batch);
    }
    channel_close(channel);
}

static void *run(void *argument) {
    struct worker *worker = argument;
    if (worker->index == 0) {
        consume(worker->shared);
    } else {
        produce(worker, worker->shared);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    bench.threads = bench.threads < 2 ? 2 : bench.threads;
    struct channel *channel = table_make(1, sizeof *channel);
    channel_init(channel, bench.threads - 1);
    run_workers(&bench, run, channel);
    return 0;
}
