/*
 * Threads that take and drop buffers of 16 to 256 KiB in random order, and use the first bytes of
 * each: servers that read and write network packets, images and files in parts. Punishes a heap
 * whose one lock all threads share for what is no small object, and a system call for each buffer.
 */
#include "bench.h"

enum { SLOTS = 100, STEPS = 1200000, USED = 512 };

struct buffer {
    unsigned char *bytes;
    size_t used;
    unsigned char value;
};

static void drop(struct buffer *buffer) {
    for (size_t i = 0; i < buffer->used; i += 64) {
        CHECK(buffer->bytes[i] == buffer->value);
    }
    free(buffer->bytes);
}

static struct buffer make(struct rng *rng) {
    size_t size = rng_log_between(rng, 16 * KIB, 256 * KIB);
    struct buffer buffer = {need(malloc(size)), USED, (unsigned char)rng_next(rng)};
    memset(buffer.bytes, buffer.value, USED);
    return buffer;
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct buffer buffers[SLOTS] = {{0}};
    for (size_t i = scaled(worker->bench, STEPS) / worker->bench->threads; i > 0; i--) {
        struct buffer *buffer = &buffers[rng_below(&worker->rng, SLOTS)];
        drop(buffer);
        *buffer = make(&worker->rng);
    }
    for (int i = 0; i < SLOTS; i++) {
        drop(&buffers[i]);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 4});
    run_workers(&bench, run, NULL);
    return 0;
}
