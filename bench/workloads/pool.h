/*
 * A set of live objects that are replaced at random, which is what the heap of a long-running
 * program looks like. An object begins with its size and a mark made of its own address, so that
 * two objects that overlap, or one that changed while it was live, are found when it is freed.
 */
#ifndef POOL_H
#define POOL_H

#include "bench.h"

struct object {
    uint32_t size;
    uint32_t mark;
};

static inline uint32_t object_mark(const struct object *object) {
    return (uint32_t)((uintptr_t)object >> 3) * 2654435761u ^ object->size;
}

/* sizeof(struct object) <= size < 4 GiB */
static inline void *object_make(size_t size) {
    struct object *object = need(malloc(size));
    if (size > sizeof *object) {
        touch((char *)object + sizeof *object, size - sizeof *object, (unsigned char)size);
    }
    object->size = (uint32_t)size;
    object->mark = object_mark(object);
    return object;
}

static inline size_t object_size(const void *pointer) {
    const struct object *object = pointer;
    return object->size;
}

static inline void object_drop(void *pointer) {
    const struct object *object = pointer;
    CHECK(object->mark == object_mark(object));
    if (object->size > sizeof *object) {
        CHECK(((unsigned char *)pointer)[object->size - 1] == (unsigned char)object->size);
    }
    free(pointer);
}

typedef size_t pool_size(struct rng *rng);

struct pool {
    void **slot;
    size_t slots;
    size_t bytes; /* the sum of the objects' sizes */
};

/* How many objects make about `bytes` bytes. */
static inline size_t pool_slots(size_t bytes, pool_size *size) {
    enum { SAMPLES = 20000 };
    struct rng rng = rng_make(1, 0);
    size_t sum = 0;
    for (int i = 0; i < SAMPLES; i++) {
        sum += size(&rng);
    }
    size_t slots = (size_t)((double)bytes * SAMPLES / (double)sum);
    return slots > 0 ? slots : 1;
}

/* Filled with `slots` objects. */
static inline struct pool pool_make(size_t slots, struct rng *rng, pool_size *size) {
    struct pool pool = {table_make(slots, sizeof(void *)), slots, 0};
    for (size_t i = 0; i < slots; i++) {
        pool.slot[i] = object_make(size(rng));
        pool.bytes += object_size(pool.slot[i]);
    }
    return pool;
}

/* Frees one object and allocates another in its place, n times. */
static inline void pool_replace(struct pool *pool, size_t n, struct rng *rng, pool_size *size) {
    for (size_t i = 0; i < n; i++) {
        void **slot = &pool->slot[rng_below(rng, pool->slots)];
        size_t bytes = size(rng);
        pool->bytes += bytes - object_size(*slot);
        object_drop(*slot);
        *slot = object_make(bytes);
    }
}

static inline void pool_drop(struct pool *pool) {
    for (size_t i = 0; i < pool->slots; i++) {
        object_drop(pool->slot[i]);
    }
    munmap(pool->slot, pool->slots * sizeof(void *));
}

#endif
