/* Blocks through the semantics that all entry points share: resized, zeroed, aligned, refused. Each
 * test has a heap of its own. */
#include "support.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "mcentral.h"
#include "mheap.h"
#include "os.h"
#include "scavenge.h"

enum { STEPS = 3000, KEPT = 64 };

#define ERRNO_SENTINEL 12321

static void *filled(size_t size, unsigned seed) {
    void *block = alloc_malloc(size);
    CHECK(block != NULL && alloc_usable_size(block) >= size);
    fill(block, size, seed);
    return block;
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
    CHECK(alloc_realloc(small, alloc_usable_size(small)) == small);
    CHECK(alloc_realloc(small, alloc_usable_size(small) * 4 / 5) == small);
    CHECK(alloc_realloc(large, 300000) == large); /* nothing lies behind */
    CHECK(alloc_usable_size(large) >= 300000 && is_filled(large, 100000, 2));
    fill(large, 300000, 3);
    size_t before = mheap_get_stats().in_use;
    CHECK(alloc_realloc(large, 40000) == large); /* the tail goes back */
    CHECK(alloc_usable_size(large) < 50000 && is_filled(large, 40000, 3));
    CHECK(mheap_get_stats().in_use < before - 200000);
}

/* Something behind it is in the way; from 1 MiB up pages move, below they are copied. */
TEST_IN_CHILD(realloc_elsewhere) {
    static const size_t sizes[] = {20, 1000, 32768, 40000, 500000, MIB, 3 * MIB + 1, 40 * MIB};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *old = filled(sizes[i], 1), *behind = filled(sizes[i], 2);
        size_t more = 2 * sizes[i] + 33;
        char *block = alloc_realloc(old, more);
        CHECK(block != NULL && block != old && alloc_usable_size(block) >= more);
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
    block = alloc_realloc(block, 20000);
    CHECK(alloc_usable_size(block) == 20480 && is_filled(block, 20000, 1));
    check_no_large_blocks();
    block = alloc_realloc(block, 3);
    CHECK(alloc_usable_size(block) == 8 && is_filled(block, 3, 1));
    CHECK(alloc_realloc(block, 0) == NULL);
}

TEST_IN_CHILD(realloc_of_nothing) {
    (void)unused;
    void *block = alloc_realloc(NULL, 77);
    CHECK(block != NULL && alloc_usable_size(block) == 80);
    errno = ERRNO_SENTINEL;
    CHECK(alloc_realloc(NULL, (size_t)PTRDIFF_MAX + 1) == NULL && errno == ENOMEM);
    fill(block, 77, 1);
    CHECK(alloc_realloc(block, SIZE_MAX) == NULL && is_filled(block, 77, 1));
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
        blocks[at] = alloc_realloc(blocks[at], size);
        CHECK(blocks[at] != NULL && alloc_usable_size(blocks[at]) >= size);
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
        char *now = alloc_realloc(block, size);
        CHECK(now != NULL && now[0] == block[0]);
        moves += now != block;
        block = now;
    }
    CHECK(moves <= CLASS_COUNT);
}

/* ---- zeroed ---- */

TEST_IN_CHILD(calloc_of_dirty_memory) {
    static const size_t sizes[] = {1, 8, 100, 32768, 32769, 100001, MIB, 4 * MIB + 5, 9 * MIB};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (unsigned round = 0; round < 3; round++) {
            unsigned char *block = alloc_malloc(sizes[i]);
            memset(block, 0xee, alloc_usable_size(block));
            alloc_free(block);
            block = alloc_calloc(1, sizes[i]);
            CHECK(block != NULL && is_zero(block, sizes[i]));
            memset(block, 0xdd, alloc_usable_size(block));
            alloc_free(block);
        }
        alloc_trim(0);
        void *block = alloc_calloc(sizes[i], 1);
        CHECK(is_zero(block, sizes[i]));
        alloc_free(block);
    }
}

/* Pages of a block that grew in place, moved away or shrank are dirty all the same. */
TEST_IN_CHILD(calloc_after_realloc) {
    (void)unused;
    for (size_t size = 100000; size < 16 * MIB; size *= 2) {
        void *block = filled(size, 1);
        block = alloc_realloc(block, 2 * size);
        fill(block, 2 * size, 2);
        block = alloc_realloc(block, size / 2);
        void *zero = alloc_calloc(1, 3 * size);
        CHECK(is_zero(zero, 3 * size));
        fill(zero, 3 * size, 3);
        alloc_free(block);
        alloc_free(zero);
    }
}

TEST_IN_CHILD(calloc_overflow) {
    (void)unused;
    errno = ERRNO_SENTINEL;
    CHECK(alloc_calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = ERRNO_SENTINEL;
    CHECK(alloc_calloc((size_t)1 << 32, (size_t)1 << 32) == NULL && errno == ENOMEM);
}

/* ---- aligned ---- */

TEST_IN_CHILD(every_alignment) {
    static const size_t sizes[] = {0, 1, 17, 100, 1000, 5000, 20000, 32768, 32769, 200000};
    (void)unused;
    for (size_t align = 1; align <= 64 * MIB; align *= 2) {
        void *blocks[COUNT_OF(sizes)];
        for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
            blocks[i] = alloc_aligned(align, sizes[i]);
            CHECK(blocks[i] != NULL && is_aligned_to(blocks[i], align));
            CHECK(alloc_usable_size(blocks[i]) >= sizes[i]);
            fill(blocks[i], sizes[i], i);
        }
        for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
            CHECK(is_filled(blocks[i], sizes[i], i));
            alloc_free(blocks[i]);
        }
    }
    check_no_large_blocks();
}

/* Small alignments cost a class, not a page. */
TEST_IN_CHILD(aligned_blocks_are_small) {
    (void)unused;
    CHECK(alloc_usable_size(alloc_aligned(8, 8)) == 8);
    CHECK(alloc_usable_size(alloc_aligned(16, 8)) == 16);
    CHECK(alloc_usable_size(alloc_aligned(64, 100)) == 128);
    CHECK(alloc_usable_size(alloc_aligned(64, 130)) == 192);
    CHECK(alloc_usable_size(alloc_aligned(4096, 10)) == 4096);
    CHECK(alloc_usable_size(alloc_aligned(4096, 5000)) == 8192);
    CHECK(alloc_usable_size(alloc_aligned(8192, 32768)) == 32768);
}

/* ---- refused, and errno ---- */

TEST_IN_CHILD(too_large) {
    (void)unused;
    errno = ERRNO_SENTINEL;
    CHECK(alloc_malloc((size_t)PTRDIFF_MAX + 1) == NULL && errno == ENOMEM);
    errno = ERRNO_SENTINEL;
    CHECK(alloc_malloc(SIZE_MAX) == NULL && errno == ENOMEM);
    errno = ERRNO_SENTINEL;
    CHECK(alloc_aligned(64, SIZE_MAX - 10) == NULL && errno == ENOMEM);
    errno = ERRNO_SENTINEL;
    CHECK(alloc_aligned((size_t)1 << 62, 1) == NULL && errno == ENOMEM);
}

static void fill_and_empty(unsigned index) {
    static void *objects[2][20000];
    for (unsigned i = 0; i < COUNT_OF(objects[index]); i++) {
        objects[index][i] = alloc_malloc(100);
    }
    for (unsigned i = 0; i < COUNT_OF(objects[index]); i++) {
        alloc_free(objects[index][i]);
    }
}

/* Empty spans that threads keep make room before a large block takes fresh pages. */
TEST_IN_CHILD(large_blocks_get_what_lies_idle) {
    (void)unused;
    run_threads(2, fill_and_empty);
    CHECK(mcentral_get_stats(size_class(100)).spans > MIB);
    size_t used = mheap_get_stats().in_use + mheap_get_stats().free_dirty;
    void *block = alloc_malloc(MIB);
    CHECK(mheap_get_stats().in_use + mheap_get_stats().free_dirty == used);
    CHECK(mcentral_get_stats(size_class(100)).spans < MIB / 4);
    alloc_free(block);
}

static void miss(unsigned class) {
    CHECK(alloc_malloc(class_to_size[class]) != NULL);
}

/* Twice a second something is due, and a call that no magazine can serve finds out. */
TEST_IN_CHILD(each_miss_looks_at_the_clock) {
    unsigned class = 1;
    (void)unused;
    for (; class <= 2 * ALLOC_LOOK_EVERY; class++) { /* the first few do not look */
        miss(class);
    }
    usleep(10000);
    miss(class++); /* the first period begins */
    for (unsigned i = 0; i < 2; i++) {
        unsigned before = scavenge_periods();
        usleep(600000);
        miss(class++);
        CHECK(scavenge_periods() == before + 1);
    }
}

/* Nothing is idle in a process that has just begun. */
TEST_IN_CHILD(the_first_misses_do_not) {
    (void)unused;
    for (unsigned class = 1; class < ALLOC_LOOK_EVERY; class++) {
        miss(class);
        usleep(20000);
    }
    usleep(600000);
    miss(2 * ALLOC_LOOK_EVERY);
    CHECK(scavenge_periods() == 0);
}

/* Wherever in its span an object lies. */
TEST_IN_CHILD(sizes_of_all_classes) {
    enum { EACH = 100 };
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        for (unsigned i = 0; i < EACH; i++) {
            size_t size = class_to_size[class];
            void *object = alloc_malloc(size);
            CHECK(object != NULL && alloc_usable_size(object) == size);
            CHECK(alloc_realloc(object, size) == object);
        }
    }
}

TEST_IN_CHILD(errno_is_kept) {
    (void)unused;
    errno = ERRNO_SENTINEL;
    for (size_t size = 0; size < 20 * MIB; size = size * 2 + 1) {
        void *block = alloc_malloc(size);
        block = alloc_realloc(block, size + 100);
        alloc_free(block);
        alloc_free(alloc_calloc(1, size));
        alloc_free(alloc_aligned(256, size));
    }
    alloc_free(NULL);
    alloc_trim(0);
    CHECK(errno == ERRNO_SENTINEL);
}

TEST_IN_CHILD(usable_size_is_writable_and_stable) {
    (void)unused;
    for (size_t size = 0; size < 2 * MIB; size = size * 5 / 4 + 1) {
        void *block = alloc_malloc(size), *other = alloc_malloc(size);
        size_t usable = alloc_usable_size(block);
        fill(block, usable, 1);
        fill(other, alloc_usable_size(other), 2);
        CHECK(is_filled(block, usable, 1) && alloc_usable_size(block) == usable);
        alloc_free(block);
        alloc_free(other);
    }
    CHECK(alloc_usable_size(NULL) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realloc_in_place),
        cmocka_unit_test(realloc_elsewhere),
        cmocka_unit_test(realloc_from_large_to_small),
        cmocka_unit_test(realloc_of_nothing),
        cmocka_unit_test(realloc_at_random),
        cmocka_unit_test(realloc_growing),
        cmocka_unit_test(calloc_of_dirty_memory),
        cmocka_unit_test(calloc_after_realloc),
        cmocka_unit_test(calloc_overflow),
        cmocka_unit_test(every_alignment),
        cmocka_unit_test(aligned_blocks_are_small),
        cmocka_unit_test(too_large),
        cmocka_unit_test(large_blocks_get_what_lies_idle),
        cmocka_unit_test(each_miss_looks_at_the_clock),
        cmocka_unit_test(the_first_misses_do_not),
        cmocka_unit_test(sizes_of_all_classes),
        cmocka_unit_test(errno_is_kept),
        cmocka_unit_test(usable_size_is_writable_and_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
