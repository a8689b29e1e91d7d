/*
 * All threads allocate objects of one size in batches larger than any thread's cache, and free
 * them all: a parallel build-up of one big structure. Every batch must go to what threads share.
 * Punishes one lock that is held too long or taken too often.
 */
#include "bench.h"

enum { BATCH = 100000, ROUNDS = 360 };

struct node {
    struct node *next;
    uint64_t value;
    uint64_t padding[6];
};

static struct node *build(void) {
    struct node *list = NULL;
    for (uint64_t i = 0; i < BATCH; i++) {
        struct node *node = need(malloc(sizeof *node));
        node->next = list;
        node->value = i;
        list = node;
    }
    return list;
}

static void drop(struct node *list) {
    for (uint64_t i = BATCH; i > 0; i--) {
        struct node *next = list->next;
        CHECK(list->value == i - 1);
        free(list);
        list = next;
    }
}

static void *run(void *argument) {
    struct worker *worker = argument;
    size_t rounds = scaled(worker->bench, ROUNDS) / worker->bench->threads;
    for (size_t i = 0; i <= rounds; i++) {
        drop(build());
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){0});
    run_workers(&bench, run, NULL);
    return 0;
}
