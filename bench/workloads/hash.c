/*
 * A chained hash table from strings to values that grows by doubling, replaces entries at random
 * and is torn down bucket by bucket. Stands for dictionaries: an entry is a node and a key of its
 * own, both small, while the bucket array doubles in size. Punishes headers, and the mix of many
 * tiny blocks with a few large ones.
 */
#include "bench.h"

enum { ENTRIES = 200000, ROUNDS = 5, KEY_LEAST = 6, KEY_MOST = 30 };

struct entry {
    struct entry *next;
    char *key;
    uint64_t hash;
    uint64_t value;
};

struct table {
    struct entry **bucket;
    size_t buckets;
    size_t entries;
};

static uint64_t hash_of(const char *key) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *key != '\0'; key++) {
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

static char *make_key(struct rng *rng) {
    size_t length = rng_between(rng, KEY_LEAST, KEY_MOST);
    char *key = need(malloc(length + 1));
    for (size_t i = 0; i < length; i++) {
        key[i] = (char)('a' + rng_below(rng, 26));
    }
    key[length] = '\0';
    return key;
}

static void grow(struct table *table) {
    size_t buckets = table->buckets == 0 ? 16 : 2 * table->buckets;
    struct entry **bucket = need(calloc(buckets, sizeof *bucket));
    for (size_t i = 0; i < table->buckets; i++) {
        for (struct entry *entry = table->bucket[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            entry->next = bucket[entry->hash % buckets];
            bucket[entry->hash % buckets] = entry;
        }
    }
    free(table->bucket);
    table->bucket = bucket;
    table->buckets = buckets;
}

static void add(struct table *table, struct rng *rng) {
    struct entry *entry = need(malloc(sizeof *entry));
    if (table->entries == table->buckets) {
        grow(table);
    }
    entry->key = make_key(rng);
    entry->hash = hash_of(entry->key);
    entry->value = ~entry->hash;
    entry->next = table->bucket[entry->hash % table->buckets];
    table->bucket[entry->hash % table->buckets] = entry;
    table->entries++;
}

/* Drops one bucket's entries. */
static void drop(struct table *table, size_t bucket) {
    for (struct entry *entry = table->bucket[bucket], *next; entry != NULL; entry = next) {
        next = entry->next;
        CHECK(entry->value == ~hash_of(entry->key));
        free(entry->key);
        free(entry);
        table->entries--;
    }
    table->bucket[bucket] = NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    struct rng rng = rng_make(bench.seed, 0);
    for (size_t round = scaled(&bench, ROUNDS); round > 0; round--) {
        struct table table = {0};
        while (table.entries < ENTRIES) {
            add(&table, &rng);
        }
        for (size_t i = 0; i < ENTRIES; i++) {
            drop(&table, rng_below(&rng, table.buckets));
            add(&table, &rng);
        }
        for (size_t i = 0; i < table.buckets; i++) {
            drop(&table, i);
        }
        free(table.bucket);
    }
    return 0;
}
