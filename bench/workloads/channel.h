/*
 * A bounded queue of batches of pointers between threads. It hands over a batch at a time, so that
 * its own lock costs little beside what is measured.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "bench.h"

enum { BATCH = 64, CHANNEL_BATCHES = 64 };

struct batch {
    size_t count;
    void *item[BATCH];
};

struct channel {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned writers; /* the channel ends when all have closed it */
    size_t first;
    size_t filled;
    struct batch batch[CHANNEL_BATCHES];
};

static inline void channel_init(struct channel *channel, unsigned writers) {
    pthread_mutex_init(&channel->lock, NULL);
    pthread_cond_init(&channel->changed, NULL);
    channel->writers = writers;
}

static inline void channel_put(struct channel *channel, const struct batch *batch) {
    pthread_mutex_lock(&channel->lock);
    while (channel->filled == CHANNEL_BATCHES) {
        pthread_cond_wait(&channel->changed, &channel->lock);
    }
    channel->batch[(channel->first + channel->filled++) % CHANNEL_BATCHES] = *batch;
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

static inline void channel_close(struct channel *channel) {
    pthread_mutex_lock(&channel->lock);
    channel->writers--;
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

/* False: it has ended. */
static inline bool channel_get(struct channel *channel, struct batch *batch) {
    pthread_mutex_lock(&channel->lock);
    while (channel->filled == 0 && channel->writers > 0) {
        pthread_cond_wait(&channel->changed, &channel->lock);
    }
    bool got = channel->filled > 0;
    if (got) {
        *batch = channel->batch[channel->first++ % CHANNEL_BATCHES];
        channel->filled--;
        pthread_cond_broadcast(&channel->changed);
    }
    pthread_mutex_unlock(&channel->lock);
    return got;
}

#endif
