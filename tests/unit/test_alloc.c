/* Blocks through the semantics that all entry points share: zeroed, aligned, refused. Each test has
 * a heap of its own. */
#include "support.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mcentral.h"
#include "mheap.h"
#include "resize.h"
#include "scavenge.h"

#define ERRNO_SENTINEL 12321

/* But for those that are kept for the next request. */
static void check_no_large_blocks(void) {
    alloc_trim(SIZE_MAX);
    CHECK(mheap_get_stats().large_blocks == 0);
}

/* ---- zeroed ---- */

TEST_IN_CHILD(calloc_of_dirty_memory) {
    static const size_t sizes[] = {1, 8, 100, 32768, 32769, 100001, MIB, 4 * MIB + 5, 9 * MIB};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (unsigned round = 0; round < 3; round++) {
            unsigned char *block = alloc_malloc(sizes[i]);
            memset(block, 0xee, resize_usable_size(block));
            alloc_free(block);
            block = alloc_calloc(1, sizes[i]);
            CHECK(block != NULL && is_zero(block, sizes[i]));
            memset(block, 0xdd, resize_usable_size(block));
            alloc_free(block);
        }
        alloc_trim(0);
        void *block = alloc_calloc(sizes[i], 1);
        CHECK(is_zero(block, sizes[i]));
        alloc_free(block);
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
            CHECK(resize_usable_size(blocks[i]) >= sizes[i]);
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
    CHECK(resize_usable_size(alloc_aligned(8, 8)) == 8);
    CHECK(resize_usable_size(alloc_aligned(16, 8)) == 16);
    CHECK(resize_usable_size(alloc_aligned(64, 100)) == 128);
    CHECK(resize_usable_size(alloc_aligned(64, 130)) == 192);
    CHECK(resize_usable_size(alloc_aligned(4096, 10)) == 4096);
    CHECK(resize_usable_size(alloc_aligned(4096, 5000)) == 8192);
    CHECK(resize_usable_size(alloc_aligned(8192, 32768)) == 32768);
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

TEST_IN_CHILD(errno_is_kept) {
    (void)unused;
    errno = ERRNO_SENTINEL;
    for (size_t size = 0; size < 20 * MIB; size = size * 2 + 1) {
        void *block = alloc_malloc(size);
        block = resize_realloc(block, size + 100);
        alloc_free(block);
        alloc_free(alloc_calloc(1, size));
        alloc_free(alloc_aligned(256, size));
    }
    alloc_free(NULL);
    alloc_trim(0);
    CHECK(errno == ERRNO_SENTINEL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc_of_dirty_memory),
        cmocka_unit_test(calloc_overflow),
        cmocka_unit_test(every_alignment),
        cmocka_unit_test(aligned_blocks_are_small),
        cmocka_unit_test(too_large),
        cmocka_unit_test(large_blocks_get_what_lies_idle),
        cmocka_unit_test(each_miss_looks_at_the_clock),
        cmocka_unit_test(the_first_misses_do_not),
        cmocka_unit_test(errno_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
