/* Blocks by their size: usable, resized. Each test has a heap of its own. */
#include "support.h"

#include <errno.h>

#include "mheap.h"
#include "resize.h"

enum { STEPS = 3000, KEPT = 64 };

#define ERRNO_SENTINEL 12321

static void *filled(size_t size, unsigned seed) {
    void *block = alloc_malloc(size);
    CHECK(block != NULL && resize_usable_size(block) >= size);
    fill(block, size, seed);
    return block;
}

/* ---- the size of a block ---- */

/* Wherever in its span an object lies. */
TEST_IN_CHILD(sizes_of_all_classes) {
    enum { EACH = 100 };
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        for (unsigned i = 0; i < EACH; i++) {
            size_t size = class_to_size[class];
            void *object = alloc_malloc(size);
            CHECK(object != NULL && resize_usable_size(object) == size);
            CHECK(resize_realloc(object, size) == object);
        }
    }
}

TEST_IN_CHILD(usable_size_is_writable_and_stable) {
    (void)unused;
    for (size_t size = 0; size < 2 * MIB; size = size * 5 / 4 + 1) {
        void *block = alloc_malloc(size), *other = alloc_malloc(size);
        size_t usable = resize_usable_size(block);
        fill(block, usable, 1);
        fill(other, resize_usable_size(other), 2);
        CHECK(is_filled(block, usable, 1) && resize_usable_size(block) == usable);
        alloc_free(block);
        alloc_free(other);
    }
    CHECK(resize_usable_size(NULL) == 0);
}

/* ---- resized ---- */

/* But for those that are kept for the next request. */
static void check_no_large_blocks(void) {
    alloc_trim(SIZE_MAX);
    CHECK(mheap_get_stats().large_blocks == 0);
}

TEST_IN_CHILD(realloc_in_place) {
    (void)unused;
    void *small = filled(100, 1), *large = filled(100000, 2);
    CHECK(resize_realloc(small, resize_usable_size(small)) == small);
    CHECK(resize_realloc(small, resize_usable_size(small) * 4 / 5) == small);
    CHECK(resize_realloc(large, 300000) == large); /* nothing lies behind */
    CHECK(resize_usable_size(large) >= 300000 && is_filled(large, 100000, 2));
    fill(large, 300000, 3);
    size_t before = mheap_get_stats().in_use;
    CHECK(resize_realloc(large, 40000) == large); /* the tail goes back */
    CHECK(resize_usable_size(large) < 50000 && is_filled(large, 40000, 3));
    CHECK(mheap_get_stats().in_use < before - 200000);
}

/* Something behind it is in the way; from 1 MiB up pages move, below they are copied. */
TEST_IN_CHILD(realloc_elsewhere) {
    static const size_t sizes[] = {20, 1000, 32768, 40000, 500000, MIB, 3 * MIB + 1, 40 * MIB};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *old = filled(sizes[i], 1), *behind = filled(sizes[i], 2);
        size_t more = 2 * sizes[i] + 33;
        char *block = resize_realloc(old, more);
        CHECK(block != NULL && block != old && resize_usable_size(block) >= more);
        CHECK(is_filled(block, sizes[i], 1) && is_filled(behind, sizes[i], 2));
        fill(block, more, 3);
        void *again = filled(sizes[i], 4); /* perhaps where the old one was */
        CHECK(is_filled(block, more, 3) && is_filled(behind, sizes[i], 2));
        alloc_free(again);
        alloc_free(behind);
        alloc_free(block);
    }
    check_no_large_blocks();
}

TEST_IN_CHILD(realloc_from_large_to_small) {
    (void)unused;
    void *block = filled(5 * MIB, 1);
    block = resize_realloc(block, 20000);
    CHECK(resize_usable_size(block) == 20480 && is_filled(block, 20000, 1));
    check_no_large_blocks();
    block = resize_realloc(block, 3);
    CHECK(resize_usable_size(block) == 8 && is_filled(block, 3, 1));
    CHECK(resize_realloc(block, 0) == NULL);
}

TEST_IN_CHILD(realloc_of_nothing) {
    (void)unused;
    void *block = resize_realloc(NULL, 77);
    CHECK(block != NULL && resize_usable_size(block) == 80);
    errno = ERRNO_SENTINEL;
    CHECK(resize_realloc(NULL, (size_t)PTRDIFF_MAX + 1) == NULL && errno == ENOMEM);
    fill(block, 77, 1);
    CHECK(resize_realloc(block, SIZE_MAX) == NULL && is_filled(block, 77, 1));
}

/* A random walk over sizes, with everything checked at each step. */
TEST_IN_CHILD(realloc_at_random) {
    void *blocks[KEPT] = {NULL};
    size_t sizes[KEPT] = {0};
    uint64_t seed = 11;
    (void)unused;
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned at = (unsigned)random_below(&seed, KEPT);
        size_t size = 1 + random_below(&seed, (size_t)1 << random_below(&seed, 22));
        blocks[at] = resize_realloc(blocks[at], size);
        CHECK(blocks[at] != NULL && resize_usable_size(blocks[at]) >= size);
        CHECK(is_filled(blocks[at], min_size(size, sizes[at]), at));
        fill(blocks[at], size, at);
        sizes[at] = size;
    }
    for (unsigned at = 0; at < KEPT; at++) {
        CHECK(is_filled(blocks[at], sizes[at], at));
        alloc_free(blocks[at]);
    }
    check_no_large_blocks();
    CHECK(mheap_is_valid());
}

/* Doubling a block that is alone never moves it, and adding a little at a time seldom does. */
TEST_IN_CHILD(realloc_growing) {
    unsigned moves = 0;
    (void)unused;
    char *block = filled(1, 1);
    for (size_t size = 2; size < 10 * MIB; size += 1 + size / 100) {
        char *now = resize_realloc(block, size);
        CHECK(now != NULL && now[0] == block[0]);
        moves += now != block;
        block = now;
    }
    CHECK(moves <= CLASS_COUNT);
}

/* Pages of a block that grew in place, moved away or shrank are dirty all the same. */
TEST_IN_CHILD(calloc_after_realloc) {
    (void)unused;
    for (size_t size = 100000; size < 16 * MIB; size *= 2) {
        void *block = filled(size, 1);
        block = resize_realloc(block, 2 * size);
        fill(block, 2 * size, 2);
        block = resize_realloc(block, size / 2);
        void *zero = alloc_calloc(1, 3 * size);
        CHECK(is_zero(zero, 3 * size));
        fill(zero, 3 * size, 3);
        alloc_free(block);
        alloc_free(zero);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_all_classes),
        cmocka_unit_test(usable_size_is_writable_and_stable),
        cmocka_unit_test(realloc_in_place),
        cmocka_unit_test(realloc_elsewhere),
        cmocka_unit_test(realloc_from_large_to_small),
        cmocka_unit_test(realloc_of_nothing),
        cmocka_unit_test(realloc_at_random),
        cmocka_unit_test(realloc_growing),
        cmocka_unit_test(calloc_after_realloc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
