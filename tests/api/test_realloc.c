/*
 * Contract of realloc and reallocarray: contents, in-place resizing within the usable size, the
 * NULL and zero-size corners, and failures that leave the block alone.
 */
#include "support.h"

static const size_t sizes[] = {1,        8,      9,        16,          24,      100,     1000,
                               4096,     8192,   16 * KIB, 32767,       32768,   32769,   40000,
                               64 * KIB, 100000, MIB,      3 * MIB + 1, 8 * MIB, 64 * MIB};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static void resize_and_check(size_t from, size_t to) {
    void *p = MALLOC(from);
    assert_non_null(p);
    fill(p, from, (unsigned)(from ^ to));
    void *q;
    KEEPS_ERRNO(q = REALLOC(p, to));
    assert_non_null(q);
    assert_true(USABLE_SIZE(q) >= to);
    assert_true(is_aligned(q, to > 8 ? 16 : 8));
    assert_filled(q, smaller(from, to), (unsigned)(from ^ to));
    memset(q, 0x77, USABLE_SIZE(q));
    FREE(keep(q));
}

static void test_contents_survive_every_pair_of_sizes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            resize_and_check(sizes[i], sizes[k]);
        }
    }
}

/* A neighbour behind the block keeps it from growing in place. */
static void test_contents_survive_with_neighbours(void **state) {
    (void)state;
    for (size_t i = 0; i + 1 < COUNT_OF(sizes) - 1; i++) {
        void *before = MALLOC(sizes[i]);
        void *p = MALLOC(sizes[i]);
        void *after = MALLOC(sizes[i]);
        assert_true(before != NULL && p != NULL && after != NULL);
        fill(before, sizes[i], 1);
        fill(p, sizes[i], 2);
        fill(after, sizes[i], 3);
        p = REALLOC(p, 2 * sizes[i] + 1);
        assert_non_null(p);
        memset((char *)p + sizes[i], 0x33, sizes[i] + 1);
        assert_filled(before, sizes[i], 1);
        assert_filled(p, sizes[i], 2);
        assert_filled(after, sizes[i], 3);
        FREE(before);
        FREE(p);
        FREE(after);
    }
}

static void test_many_steps_keep_contents(void **state) {
    (void)state;
    size_t size = 1;
    unsigned char *p = MALLOC(size);
    assert_non_null(p);
    p[0] = 1;
    for (size_t step = 0; step < 200; step++) {
        size_t next = size + 1 + size / 12;
        p = REALLOC(p, next);
        assert_non_null(p);
        for (size_t i = size; i < next; i++) {
            p[i] = (unsigned char)(i * 7 + 1);
        }
        size = next;
    }
    assert_true(size > MIB);
    while (size > 1) {
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(p[i], (unsigned char)(i * 7 + 1));
        }
        size /= 2;
        p = REALLOC(p, size);
        assert_non_null(p);
    }
    FREE(p);
}

static void test_null_is_malloc(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p;
        KEEPS_ERRNO(p = REALLOC(NULL, sizes[i]));
        assert_non_null(p);
        assert_true(USABLE_SIZE(p) >= sizes[i]);
        FREE(p);
        KEEPS_ERRNO(p = REALLOCARRAY(NULL, sizes[i], 2));
        assert_non_null(p);
        assert_true(USABLE_SIZE(p) >= 2 * sizes[i]);
        FREE(p);
    }
    void *p = REALLOC(NULL, opaque(0));
    assert_non_null(p);
    FREE(p);
}

static void test_zero_size_frees(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t before = allocated_bytes();
        void *p = MALLOC(sizes[i]);
        void *q = MALLOC(sizes[i]);
        assert_non_null(p);
        assert_non_null(q);
        KEEPS_ERRNO(assert_null(REALLOC(p, opaque(0))));
        KEEPS_ERRNO(assert_null(REALLOCARRAY(q, sizes[i], opaque(0))));
        assert_int_equal(allocated_bytes(), before);
    }
}

static void assert_stays(uintptr_t address, size_t size) {
    void *moved;
    KEEPS_ERRNO(moved = REALLOC((void *)address, size));
    assert_int_equal((uintptr_t)moved, address);
}

static void test_never_moves_within_usable_size(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = MALLOC(sizes[i]);
        assert_non_null(p);
        size_t usable = USABLE_SIZE(p);
        fill(p, usable, (unsigned)i);
        uintptr_t address = (uintptr_t)p;
        size_t least = usable / 4 * 3 + 1;
        assert_stays(address, usable);
        assert_stays(address, sizes[i]);
        assert_stays(address, least);
        assert_int_equal(USABLE_SIZE((void *)address), usable);
        assert_filled((void *)address, least, (unsigned)i);
        FREE((void *)address);
    }
}

/* Strings and vectors that grow by doubling are cut to size at the end: that is to save memory. */
static void test_shrinking_saves_a_quarter(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = MALLOC(sizes[i]);
        assert_non_null(p);
        size_t usable = USABLE_SIZE(p), less = usable / 8 * 5;
        fill(p, usable, (unsigned)i);
        p = REALLOC(p, less);
        assert_non_null(p);
        assert_true(usable <= 32 || USABLE_SIZE(p) <= usable / 4 * 3);
        assert_filled(p, less, (unsigned)i);
        FREE(p);
    }
}

static void test_failure_leaves_the_block(void **state) {
    (void)state;
    const size_t too_much[] = {SIZE_MAX, SIZE_MAX - 4095, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                               (size_t)1 << 57};
    for (size_t i = 0; i < COUNT_OF(sizes) - 1; i++) {
        void *p = MALLOC(sizes[i]);
        assert_non_null(p);
        size_t usable = USABLE_SIZE(p);
        fill(p, usable, (unsigned)i);
        for (size_t k = 0; k < COUNT_OF(too_much); k++) {
            FAILS_WITH(ENOMEM, keep(REALLOC(keep(p), opaque(too_much[k]))));
            FAILS_WITH(ENOMEM, keep(REALLOCARRAY(keep(p), 1, opaque(too_much[k]))));
        }
        FAILS_WITH(ENOMEM, keep(REALLOCARRAY(keep(p), opaque(SIZE_MAX), 2)));
        FAILS_WITH(ENOMEM, keep(REALLOCARRAY(keep(p), (size_t)1 << 33, opaque((size_t)1 << 33))));
        assert_int_equal(USABLE_SIZE(p), usable);
        assert_filled(p, usable, (unsigned)i);
        FREE(p);
    }
}

static void test_reallocarray_multiplies(void **state) {
    (void)state;
    void *p = REALLOCARRAY(NULL, 10, 100);
    assert_non_null(p);
    fill(p, 1000, 9);
    p = REALLOCARRAY(p, 100000, 100);
    assert_non_null(p);
    assert_true(USABLE_SIZE(p) >= 10000000);
    assert_filled(p, 1000, 9);
    memset((char *)p + 1000, 1, 10000000 - 1000);
    p = REALLOCARRAY(p, 3, 100);
    assert_non_null(p);
    assert_filled(p, 300, 9);
    FREE(p);
}

static void test_aligned_blocks_can_be_resized(void **state) {
    (void)state;
    for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 4) {
        for (size_t size = 1; size <= 4 * MIB; size *= 16) {
            void *p = MEMALIGN(alignment, size);
            assert_non_null(p);
            fill(p, size, (unsigned)size);
            p = REALLOC(p, 3 * size);
            assert_non_null(p);
            assert_filled(p, size, (unsigned)size);
            p = REALLOC(p, size / 2 + 1);
            assert_non_null(p);
            assert_filled(p, size / 2, (unsigned)size);
            FREE(p);
        }
    }
}

/* A shrunken large block does not keep all of its pages for itself. */
static void test_shrinking_gives_memory_back(void **state) {
    (void)state;
    size_t before = allocated_bytes();
    void *p = MALLOC(64 * MIB);
    assert_non_null(p);
    p = REALLOC(p, MIB);
    assert_non_null(p);
    assert_true(allocated_bytes() - before < 4 * MIB);
    p = REALLOC(p, 100);
    assert_non_null(p);
    assert_true(allocated_bytes() - before < 4 * KIB);
    FREE(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_survive_every_pair_of_sizes),
        cmocka_unit_test(test_contents_survive_with_neighbours),
        cmocka_unit_test(test_many_steps_keep_contents),
        cmocka_unit_test(test_null_is_malloc),
        cmocka_unit_test(test_zero_size_frees),
        cmocka_unit_test(test_never_moves_within_usable_size),
        cmocka_unit_test(test_shrinking_saves_a_quarter),
        cmocka_unit_test(test_failure_leaves_the_block),
        cmocka_unit_test(test_reallocarray_multiplies),
        cmocka_unit_test(test_aligned_blocks_can_be_resized),
        cmocka_unit_test(test_shrinking_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
