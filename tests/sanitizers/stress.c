/*
 * A stress of the goalloc_ names for the sanitizers: generations of threads allocate, resize, check
 * and free blocks of all sizes, and pass them to one another through shared slots, so most blocks
 * are freed by a thread that did not allocate them. Every byte written is checked. To repeat a
 * failure, run it with the same numbers:
 *
 *     stress SEED GENERATIONS OPERATIONS
 */
#include "support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "goalloc.h"
#include "options.h"

enum { THREADS = 6, SLOTS = 256, WHOLE = 8192 };

/* Stands at the start of each block; the rest is filled from the tag. */
struct header {
    size_t size;
    unsigned tag;
};

static _Atomic(struct header *) slots[SLOTS];
static uint64_t seed;
static unsigned operations;
static unsigned generation;

/* Small blocks are filled whole, large ones at both ends. */
static size_t head_of(size_t size) {
    return size < WHOLE ? size : WHOLE / 2;
}

static size_t tail_of(size_t size) {
    return size < WHOLE ? 0 : WHOLE / 2;
}

static void fill_ends(char *start, size_t size, unsigned tag) {
    fill(start, head_of(size), tag);
    fill(start + size - tail_of(size), tail_of(size), tag + 1);
}

static bool ends_are_filled(const char *start, size_t size, unsigned tag) {
    return is_filled(start, head_of(size), tag) &&
           is_filled(start + size - tail_of(size), tail_of(size), tag + 1);
}

static void write_block(struct header *block, size_t size, unsigned tag) {
    CHECK(block != NULL && goalloc_usable_size(block) >= size);
    *block = (struct header){size, tag};
    fill_ends((char *)(block + 1), size - sizeof *block, tag);
}

static void check_block(const struct header *block) {
    CHECK(ends_are_filled((const char *)(block + 1), block->size - sizeof *block, block->tag));
}

static size_t random_size(uint64_t *random) {
    unsigned log = (unsigned)random_below(random, 100);
    size_t most = log < 90 ? (size_t)1 << (4 + log % 9) : (size_t)1 << (10 + log % 11);
    return sizeof(struct header) + random_below(random, most);
}

static struct header *new_block(uint64_t *random) {
    size_t size = random_size(random), align = (size_t)16 << random_below(random, 9);
    unsigned tag = (unsigned)random_next(random);
    struct header *block;
    switch (random_below(random, 8)) {
    case 0:
        block = goalloc_calloc(size, 1);
        CHECK(block != NULL && is_zero(block, size));
        break;
    case 1:
        block = goalloc_aligned_alloc(align, size);
        CHECK(is_aligned_to(block, align));
        break;
    default:
        block = goalloc_malloc(size);
        break;
    }
    write_block(block, size, tag);
    return block;
}

static void free_block(struct header *block) {
    if (block != NULL) {
        check_block(block);
        goalloc_free(block);
    }
}

static struct header *resize_block(struct header *block, uint64_t *random) {
    size_t size = random_size(random);
    struct header old = *block;
    check_block(block);
    block = goalloc_realloc(block, size);
    CHECK(block != NULL && block->size == old.size && block->tag == old.tag);
    size_t head = head_of(old.size - sizeof old), kept = size - sizeof old;
    CHECK(is_filled(block + 1, head < kept ? head : kept, old.tag));
    write_block(block, size, old.tag + 1);
    return block;
}

static void look_around(uint64_t *random) {
    struct goalloc_stats stats;
    goalloc_get_stats(&stats);
    CHECK(stats.threads <= THREADS + 1);
    if (random_below(random, 8) == 0) {
        goalloc_trim(random_below(random, 1 << 20));
    }
}

static void work(unsigned index) {
    uint64_t random = seed * 1000003 + generation * 101 + index + 1;
    for (unsigned i = 0; i < operations; i++) {
        _Atomic(struct header *) *slot = &slots[random_below(&random, SLOTS)];
        struct header *block = atomic_exchange(slot, NULL);
        if (block == NULL) {
            block = new_block(&random);
        } else if (random_below(&random, 3) == 0) {
            block = resize_block(block, &random);
        } else {
            free_block(block);
            block = NULL;
        }
        free_block(atomic_exchange(slot, block));
        if (i % 500 == index) {
            look_around(&random);
        }
    }
}

int main(int argc, char **argv) {
    struct goalloc_stats stats;
    CHECK(argc == 4);
    seed = strtoull(argv[1], NULL, 10);
    unsigned generations = (unsigned)strtoul(argv[2], NULL, 10);
    operations = (unsigned)strtoul(argv[3], NULL, 10);
    for (; generation < generations; generation++) {
        run_threads(THREADS, work);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        free_block(slots[i]);
    }
    goalloc_trim(0);
    goalloc_get_stats(&stats);
    /* With CHECK=2 freed blocks wait in pages that count as active. */
    CHECK(stats.allocated == 0 && (stats.active == 0 || options.check == CHECK_CONTENTS));
    printf("stress: %u generations of %d threads, %u operations each\n", generations, THREADS,
           operations);
    return 0;
}
