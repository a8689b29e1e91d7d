/*
 * A long handoff: producers allocate in bursts of changing sizes, consumers hold a random live set
 * of what they were given and free the rest. Each half sees the same live sets, so it should need
 * the same memory. Punishes memory that the freeing threads collect and the allocating ones never
 * see again. Metrics: the most that was resident in the second half to the most in the first, and
 * that to the most live bytes.
 */
#include <stdatomic.h>

#include "channel.h"
#include "pool.h"

enum { BATCHES = 72000, HELD = 50000, SAMPLES_EACH = 50, BURST_SIZES = 6, BURSTS = 6 };

/* Each consumer's own, on a cache line of its own. */
struct holder {
    _Alignas(64) _Atomic size_t live;
    void **held;
};

struct slope {
    struct channel channel;
    struct holder *holder;
    size_t batches; /* of each producer */
    size_t rss[2];  /* the most of each half */
    size_t live[2];
};

/* Each size comes BURSTS times. */
static size_t burst_size(struct rng *rng, size_t n, size_t batches) {
    size_t burst = n * BURST_SIZES * BURSTS / batches;
    size_t least = (size_t)16 << burst % BURST_SIZES;
    return rng_between(rng, least, 2 * least);
}

static void produce(struct worker *worker, struct slope *slope) {
    for (size_t n = 0; n < slope->batches; n++) {
        struct batch batch = {.count = BATCH};
        for (int i = 0; i < BATCH; i++) {
            batch.item[i] = object_make(burst_size(&worker->rng, n, slope->batches));
        }
        channel_put(&slope->channel, &batch);
    }
    channel_close(&slope->channel);
}

static void sample(struct slope *slope, unsigned threads, int half) {
    size_t live = 0, rss = rss_exact();
    for (unsigned i = 1; i < threads; i += 2) {
        live += atomic_load_explicit(&slope->holder[i].live, memory_order_relaxed);
    }
    slope->rss[half] = rss > slope->rss[half] ? rss : slope->rss[half];
    slope->live[half] = live > slope->live[half] ? live : slope->live[half];
}

/* Keeps the items in the places of random ones. */
static void hold(struct worker *worker, struct holder *holder, const struct batch *batch) {
    size_t live = atomic_load_explicit(&holder->live, memory_order_relaxed);
    for (size_t i = 0; i < batch->count; i++) {
        void **place = &holder->held[rng_below(&worker->rng, HELD)];
        live += object_size(batch->item[i]);
        if (*place != NULL) {
            live -= object_size(*place);
            object_drop(*place);
        }
        *place = batch->item[i];
    }
    atomic_store_explicit(&holder->live, live, memory_order_relaxed);
}

static void consume(struct worker *worker, struct slope *slope) {
    struct holder *holder = &slope->holder[worker->index];
    struct batch batch;
    for (size_t n = 0; channel_get(&slope->channel, &batch); n++) {
        hold(worker, holder, &batch);
        if (worker->index == 1 && n % (slope->batches / SAMPLES_EACH + 1) == 0) {
            sample(slope, worker->bench->threads, n >= slope->batches / 2);
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        if (holder->held[i] != NULL) {
            object_drop(holder->held[i]);
        }
    }
}

static void *run(void *argument) {
    struct worker *worker = argument;
    if (worker->index % 2 == 0) {
        produce(worker, worker->shared);
    } else {
        consume(worker, worker->shared);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    struct slope *slope = table_make(1, sizeof *slope);
    bench.threads += bench.threads % 2;
    slope->batches = 2 * scaled(&bench, BATCHES) / bench.threads + 1;
    slope->holder = table_make(bench.threads, sizeof *slope->holder);
    for (unsigned i = 1; i < bench.threads; i += 2) {
        slope->holder[i].held = table_make(HELD, sizeof(void *));
    }
    channel_init(&slope->channel, bench.threads / 2);
    run_workers(&bench, run, slope);
    metric("second_to_first_half", (double)slope->rss[1] / (double)slope->rss[0], "ratio");
    metric("rss_to_live", (double)slope->rss[1] / (double)slope->live[1], "ratio");
    return 0;
}
