/* Queues of freed objects. See quarantine.h and README.md. */
#include "quarantine.h"

#include "arch.h"
#include "arena.h"
#include "base.h"
#include "lock.h"
#include "options.h"
#include "persistent.h"

enum { QUEUES = 8, PLACES = 8192 };

/* The objects are at places [first, last), counted up for ever and taken modulo PLACES; bytes is
 * the sum of their sizes. */
struct queue {
    struct lock lock;
    void **place; /* NULL: no memory yet */
    size_t first;
    size_t last;
    size_t bytes;
} __attribute__((aligned(CACHE_LINE)));

static struct queue queues[QUEUES];

/* Threads differ in the pages of their thread pointers. */
static struct queue *my_queue(void) {
    uintptr_t hash = (arch_thread_pointer() >> 12) * UINT64_C(0x9e3779b97f4a7c15);
    return &queues[hash >> 32 & (QUEUES - 1)];
}

static void *pop_locked(struct queue *queue) {
    void *object = queue->place[queue->first++ % PLACES];
    queue->bytes -= span_block_size(arena_span((uintptr_t)object));
    return object;
}

static bool is_over_locked(const struct queue *queue) {
    bool full = queue->last - queue->first == PLACES;
    return queue->first < queue->last && (full || queue->bytes > options.quarantine);
}

unsigned quarantine_exchange(void *object, size_t size, void **out) {
    struct queue *queue = my_queue();
    unsigned n = 0;
    lock_acquire(&queue->lock);
    if (queue->place == NULL) {
        queue->place = persistent_alloc(PLACES * sizeof(void *), CACHE_LINE);
    }
    if (queue->place == NULL) {
        out[n++] = object;
    } else {
        queue->place[queue->last++ % PLACES] = object;
        queue->bytes += size;
        while (n < QUARANTINE_OUT_MOST && is_over_locked(queue)) {
            out[n++] = pop_locked(queue);
        }
    }
    lock_release(&queue->lock);
    return n;
}

unsigned quarantine_drain(void **out) {
    unsigned n = 0;
    for (unsigned i = 0; i < QUEUES && n == 0; i++) {
        lock_acquire(&queues[i].lock);
        while (n < QUARANTINE_OUT_MOST && queues[i].first < queues[i].last) {
            out[n++] = pop_locked(&queues[i]);
        }
        lock_release(&queues[i].lock);
    }
    return n;
}

size_t quarantine_bytes(void) {
    size_t bytes = 0;
    for (unsigned i = 0; i < QUEUES; i++) {
        lock_acquire(&queues[i].lock);
        bytes += queues[i].bytes;
        lock_release(&queues[i].lock);
    }
    return bytes;
}

/* What was in a queue that another thread was changing is lost. */
void quarantine_reset_in_child(void) {
    for (unsigned i = 0; i < QUEUES; i++) {
        if (lock_reset_in_child(&queues[i].lock)) {
            queues[i].first = queues[i].last = queues[i].bytes = 0;
        }
    }
}
