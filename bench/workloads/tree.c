/*
 * Binary search trees: built in random order, cut and grown again at random places, torn down from
 * the leaves. Stands for ordered maps and syntax trees, of nodes with a payload of several sizes.
 * Punishes allocators that separate what is allocated together, and slow frees in random order.
 */
#include "bench.h"

enum { NODES = 100000, ROUNDS = 8 };

struct node {
    struct node *child[2];
    uint64_t key;
    uint32_t payload;
    unsigned char data[];
};

static struct node *make_node(struct rng *rng, uint64_t key) {
    uint32_t payload = (uint32_t)rng_log_between(rng, 4, 128);
    struct node *node = need(malloc(sizeof *node + payload));
    node->child[0] = node->child[1] = NULL;
    node->key = key;
    node->payload = payload;
    node->data[0] = node->data[payload - 1] = (unsigned char)key;
    return node;
}

/* Where a node of this key is or belongs. */
static struct node **find(struct node **tree, uint64_t key) {
    while (*tree != NULL && (*tree)->key != key) {
        tree = &(*tree)->child[key > (*tree)->key];
    }
    return tree;
}

static void tear_down(struct node *tree, size_t *count) {
    if (tree != NULL) {
        tear_down(tree->child[0], count);
        tear_down(tree->child[1], count);
        CHECK(tree->data[tree->payload - 1] == (unsigned char)tree->key);
        free(tree);
        ++*count;
    }
}

static void grow(struct rng *rng, struct node **tree, size_t n) {
    while (n > 0) {
        uint64_t key = rng_next(rng);
        struct node **place = find(tree, key);
        if (*place == NULL) {
            *place = make_node(rng, key);
            n--;
        }
    }
}

/* Cuts subtrees off at random until n nodes are gone or more. Returns how many. */
static size_t cut(struct rng *rng, struct node **tree, size_t n) {
    size_t gone = 0;
    while (gone < n && *tree != NULL) {
        struct node **place = tree;
        for (int depth = 0; depth < 12 && *place != NULL && (*place)->child[0] != NULL; depth++) {
            place = &(*place)->child[rng_next(rng) >> 63];
        }
        struct node *off = *place;
        *place = NULL;
        tear_down(off, &gone);
    }
    return gone;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    for (size_t i = scaled(&bench, ROUNDS); i > 0; i--) {
        struct node *tree = NULL;
        size_t left = 0;
        grow(&rng, &tree, NODES);
        size_t gone = cut(&rng, &tree, NODES / 2);
        grow(&rng, &tree, gone);
        tear_down(tree, &left);
        CHECK(left == NODES);
    }
    return 0;
}
