/*
 * Linked lists: many lists grow by turns, lose random members, are walked and torn down. Stands
 * for queues, adjacency lists and intrusive bookkeeping. Punishes headers beside the objects (more
 * cache lines to walk) and addresses that jump about.
 */
#include "bench.h"

enum { LISTS = 64, NODES = 300000, ROUNDS = 45 };

struct node {
    struct node *next;
    uint64_t value;
    uint64_t check;
};

static void push(struct node **list, uint64_t value) {
    struct node *node = need(malloc(sizeof *node));
    *node = (struct node){*list, value, ~value};
    *list = node;
}

/* Removes each member whose value has the bit. */
static void filter(struct node **list, uint64_t bit) {
    while (*list != NULL) {
        struct node *node = *list;
        if (node->value & bit) {
            *list = node->next;
            free(node);
        } else {
            list = &node->next;
        }
    }
}

static void check(const struct node *list) {
    for (; list != NULL; list = list->next) {
        CHECK(list->check == ~list->value);
    }
}

static void tear_down(struct node *list) {
    while (list != NULL) {
        struct node *next = list->next;
        free(list);
        list = next;
    }
}

static void round_of_all(struct rng *rng) {
    struct node *list[LISTS] = {NULL};
    for (int part = 0; part < 3; part++) {
        for (size_t i = 0; i < NODES / 3; i++) {
            uint64_t value = rng_next(rng);
            push(&list[value % LISTS], value);
        }
        for (int i = 0; i < LISTS; i++) {
            filter(&list[i], UINT64_C(1) << (20 + part));
            check(list[i]);
        }
    }
    for (int i = 0; i < LISTS; i++) {
        tear_down(list[i]);
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    for (size_t i = scaled(&bench, ROUNDS); i > 0; i--) {
        round_of_all(&rng);
    }
    return 0;
}
