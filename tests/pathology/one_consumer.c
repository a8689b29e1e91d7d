/*
 * Sixteen threads allocate messages and one thread, which never allocates, frees them: a collector
 * of metrics, a logger. An allocator that gives freed objects to the freeing thread, or keeps them
 * in lists that their owners look at too late, takes several times the memory of what is alive.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define PRODUCERS 16
#define BATCH 500
#define QUEUE 400    /* batches; some 100 MB */
#define BATCHES 1000 /* of each producer */
#define ALLOWED_BESIDE (16 * MIB)

struct message {
    uint32_t size;
    uint32_t check;
};

struct batch {
    struct message *messages[BATCH];
};

static struct batch queue[QUEUE];
static size_t first, queued, producing = PRODUCERS;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Atomic size_t live;
static size_t most_live, most_resident;

static void put(const struct batch *batch) {
    pthread_mutex_lock(&mutex);
    while (queued == QUEUE) {
        pthread_cond_wait(&changed, &mutex);
    }
    queue[(first + queued++) % QUEUE] = *batch;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* False when there is none and will be none. */
static bool get(struct batch *batch) {
    pthread_mutex_lock(&mutex);
    while (queued == 0 && producing > 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    bool found = queued > 0;
    if (found) {
        *batch = queue[first];
        first = (first + 1) % QUEUE;
        queued--;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

static void produce(size_t index) {
    uint64_t seed = index;
    struct batch batch;
    for (size_t n = 0; n < BATCHES; n++) {
        size_t bytes = 0;
        for (size_t i = 0; i < BATCH; i++) {
            size_t size = random_size(&seed, 32, 2 * KIB);
            batch.messages[i] = touched(size);
            *batch.messages[i] = (struct message){(uint32_t)size, ~(uint32_t)size};
            bytes += size;
        }
        atomic_fetch_add(&live, bytes);
        put(&batch);
    }
    pthread_mutex_lock(&mutex);
    producing--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void sample(void) {
    size_t bytes = atomic_load(&live), resident = life_resident();
    most_live = bytes > most_live ? bytes : most_live;
    most_resident = resident > most_resident ? resident : most_resident;
}

static void *consume(void *unused) {
    struct batch batch;
    for (size_t n = 0; get(&batch); n++) {
        if (n % 50 == 0) {
            sample();
        }
        size_t bytes = 0;
        for (size_t i = 0; i < BATCH; i++) {
            struct message *message = batch.messages[i];
            CHECK(message->check == ~message->size, "a message changed");
            bytes += message->size;
            free(message);
        }
        atomic_fetch_sub(&live, bytes);
    }
    return unused;
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    pthread_t consumer;
    size_t before = life_resident();
    CHECK(pthread_create(&consumer, NULL, consume, NULL) == 0, "no thread");
    run_threads(PRODUCERS, produce);
    pthread_join(consumer, NULL);
    size_t grown = most_resident - before;
    printf("at most %zu KiB live, %zu KiB resident\n", most_live / KIB, grown / KIB);
    fflush(stdout);
    CHECK(grown <= most_live / 2 * 3 + ALLOWED_BESIDE, "%zu KiB resident for %zu KiB", grown / KIB,
          most_live / KIB);
    return 0;
}
