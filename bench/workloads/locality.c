/*
 * A walk over linked lists: one built in a fresh process, and one built after a long random churn
 * of a heap that is half full of survivors. Programs spend most of their time on objects, not in
 * malloc. Punishes headers, and free lists that hand out objects in the order of their random
 * frees. Metrics: nanoseconds for each hop, for both lists.
 */
#include "pool.h"

enum { NODES = 400000, WALKS = 25, CHURN = 3000000, OBJECTS = 1000000 };

struct node {
    struct node *next;
    uint64_t value;
    uint64_t payload[4];
};

static size_t node_like(struct rng *rng) {
    return rng_between(rng, 1, 6) * 16;
}

static struct node *build(void) {
    struct node *list = NULL;
    for (uint64_t i = 0; i < NODES; i++) {
        struct node *node = need(malloc(sizeof *node));
        node->next = list;
        node->value = i;
        list = node;
    }
    return list;
}

static double walk(const struct node *list, size_t walks) {
    uint64_t sum = 0, start = now_ns();
    for (size_t i = 0; i < walks; i++) {
        for (const struct node *node = list; node != NULL; node = node->next) {
            sum += node->value;
        }
    }
    CHECK(sum == walks * (NODES * (uint64_t)(NODES - 1) / 2));
    return (double)(now_ns() - start) / (double)(walks * NODES);
}

/* Half of the objects, picked at random, go. */
static void thin_out(struct pool *pool, struct rng *rng) {
    shuffle(rng, pool->slot, pool->slots);
    for (size_t i = pool->slots / 2; i > 0; i--) {
        object_drop(pool->slot[--pool->slots]);
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    size_t walks = scaled(&bench, WALKS);
    metric("fresh_hop", walk(build(), walks), "ns");
    struct pool pool = pool_make(OBJECTS, &rng, node_like);
    pool_replace(&pool, scaled(&bench, CHURN), &rng, node_like);
    thin_out(&pool, &rng);
    metric("churned_hop", walk(build(), walks), "ns");
    return 0;
}
