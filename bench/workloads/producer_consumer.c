/*
 * Producers allocate messages and hand them over in batches to consumers, which free them. Stands
 * for pipelines, loggers and message brokers; even and odd threads are the two ends of one pipe
 * each. Punishes allocators in which freed memory piles up with the wrong thread, or in which each
 * remote free takes a lock.
 */
#include "channel.h"
#include "pool.h"

enum { BATCHES = 120000 };

static size_t message_size(struct rng *rng) {
    return rng_log_between(rng, 16, 511);
}

static void produce(struct worker *worker, struct channel *channel) {
    for (size_t n = scaled(worker->bench, BATCHES); n > 0; n--) {
        struct batch batch = {.count = BATCH};
        for (int i = 0; i < BATCH; i++) {
            batch.item[i] = object_make(message_size(&worker->rng));
        }
        channel_put(channel, &batch);
    }
    channel_close(channel);
}

static void consume(struct channel *channel) {
    struct batch batch;
    while (channel_get(channel, &batch)) {
        for (size_t i = 0; i < batch.count; i++) {
            object_drop(batch.item[i]);
        }
    }
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct channel *channel = (struct channel *)worker->shared + worker->index / 2;
    if (worker->index % 2 == 0) {
        produce(worker, channel);
    } else {
        consume(channel);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    bench.threads += bench.threads % 2;
    struct channel *channels = table_make(bench.threads / 2, sizeof *channels);
    for (unsigned i = 0; i < bench.threads / 2; i++) {
        channel_init(&channels[i], 1);
    }
    run_workers(&bench, run, channels);
    return 0;
}
