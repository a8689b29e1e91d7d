/*
 * Contract of malloc, calloc, free and malloc_usable_size: sizes, alignment, zeroing, errno,
 * and that live blocks keep to themselves.
 */
#include "support.h"

#define LIVE_BLOCKS 4000

static const size_t sizes[] = {0,     1,      7,     8,       9,           15,      16,
                               17,    24,     64,    100,     1000,        4095,    4096,
                               4097,  8192,   16384, 32767,   32 * KIB,    32769,   40000,
                               65536, 100000, MIB,   MIB + 1, 3 * MIB + 7, 8 * MIB, 64 * MIB};

static void test_malloc_zero_is_unique(void **state) {
    (void)state;
    void *blocks[100];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        KEEPS_ERRNO(blocks[i] = MALLOC(opaque(0)));
        assert_non_null(blocks[i]);
        assert_true(USABLE_SIZE(blocks[i]) > 0);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(blocks[i], blocks[k]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        FREE(blocks[i]);
    }
}

static void test_calloc_of_nothing_is_unique(void **state) {
    (void)state;
    void *a = CALLOC(opaque(0), 5);
    void *b = CALLOC(5, opaque(0));
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    FREE(a);
    FREE(b);
}

static void test_success_keeps_errno(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p;
        KEEPS_ERRNO(p = MALLOC(sizes[i]));
        assert_non_null(p);
        KEEPS_ERRNO(assert_true(USABLE_SIZE(p) >= sizes[i]));
        KEEPS_ERRNO(FREE(p));
        KEEPS_ERRNO(p = CALLOC(sizes[i], 1));
        assert_non_null(p);
        KEEPS_ERRNO(p = REALLOC(p, sizes[i] + 1));
        assert_non_null(p);
        KEEPS_ERRNO(FREE(p));
    }
    KEEPS_ERRNO(FREE(NULL));
    KEEPS_ERRNO(FREE_SIZED(NULL, 0));
    KEEPS_ERRNO(FREE_ALIGNED_SIZED(NULL, 16, 0));
}

static void test_usable_size_is_stable_and_writable(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *p = MALLOC(sizes[i]);
        assert_non_null(p);
        size_t usable = USABLE_SIZE(p);
        assert_true(usable >= sizes[i]);
        fill(p, usable, (unsigned)i);
        assert_int_equal(USABLE_SIZE(p), usable);
        assert_filled(p, usable, (unsigned)i);
        FREE(p);
    }
    assert_int_equal(USABLE_SIZE(NULL), 0);
}

static void test_every_size_up_to_40000(void **state) {
    (void)state;
    for (size_t n = 0; n <= 40000; n++) {
        void *p = MALLOC(n);
        assert_non_null(p);
        fill(p, n, (unsigned)n);
        assert_filled(p, n, (unsigned)n);
        size_t usable = USABLE_SIZE(p);
        assert_true(usable >= n);
        FREE(p);
    }
}

static void assert_default_alignment(void *p, size_t size) {
    assert_non_null(p);
    assert_true(is_aligned(p, size > 8 ? 16 : 8));
}

static void test_default_alignment(void **state) {
    (void)state;
    static void *held[3 * 600];
    size_t count = 0;
    for (size_t n = 0; n < 600; n++) {
        held[count++] = MALLOC(n);
        assert_default_alignment(held[count - 1], n);
        held[count++] = CALLOC(1, n);
        assert_default_alignment(held[count - 1], n);
        held[count++] = REALLOC(MALLOC(n / 2), n + 1);
        assert_default_alignment(held[count - 1], n + 1);
    }
    while (count > 0) {
        FREE(held[--count]);
    }
    for (size_t n = 600; n < 100000; n += 97) {
        void *p = MALLOC(n);
        assert_default_alignment(p, n);
        p = REALLOC(p, n / 3);
        assert_default_alignment(p, n / 3);
        FREE(p);
    }
}

static void test_blocks_do_not_overlap(void **state) {
    (void)state;
    static void *blocks[LIVE_BLOCKS];
    size_t large = 0;
    for (size_t i = 0; i < LIVE_BLOCKS; i++) {
        size_t size = (i * 7919) % (i % 16 == 0 ? 70000 : 700);
        large += size > 32 * KIB;
        blocks[i] = i % 3 == 0 ? CALLOC(1, size) : MALLOC(size);
        assert_non_null(blocks[i]);
        fill(blocks[i], USABLE_SIZE(blocks[i]), (unsigned)i);
    }
    assert_true(large > 50);
    for (size_t i = 0; i < LIVE_BLOCKS; i++) {
        assert_filled(blocks[i], USABLE_SIZE(blocks[i]), (unsigned)i);
    }
    for (size_t i = 0; i < LIVE_BLOCKS; i++) {
        FREE(blocks[i]);
    }
}

static void test_absurd_sizes_fail(void **state) {
    (void)state;
    const size_t absurd[] = {(size_t)PTRDIFF_MAX + 1,
                             (size_t)PTRDIFF_MAX + 4096,
                             SIZE_MAX - 70000,
                             SIZE_MAX - 8192,
                             SIZE_MAX - 4096,
                             SIZE_MAX - 15,
                             SIZE_MAX - 7,
                             SIZE_MAX - 1,
                             SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(absurd); i++) {
        size_t n = opaque(absurd[i]);
        FAILS_WITH(ENOMEM, keep(MALLOC(n)));
        FAILS_WITH(ENOMEM, keep(CALLOC(n, 1)));
        FAILS_WITH(ENOMEM, keep(CALLOC(1, n)));
        FAILS_WITH(ENOMEM, keep(REALLOC(NULL, n)));
        FAILS_WITH(ENOMEM, keep(REALLOCARRAY(NULL, n, 1)));
    }
}

/* Sizes that are legal but more than the address space has. */
static void test_sizes_beyond_the_address_space_fail(void **state) {
    (void)state;
    const size_t vast[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX - 8192, (size_t)1 << 60,
                           ((size_t)1 << 57) + 1};
    for (size_t i = 0; i < COUNT_OF(vast); i++) {
        size_t n = opaque(vast[i]);
        FAILS_WITH(ENOMEM, keep(MALLOC(n)));
        FAILS_WITH(ENOMEM, keep(CALLOC(n / 8, 8)));
        FAILS_WITH(ENOMEM, keep(REALLOC(NULL, n)));
    }
}

static void test_products_that_overflow_fail(void **state) {
    (void)state;
    const size_t factors[][2] = {{SIZE_MAX, 2},
                                 {SIZE_MAX / 2 + 1, 2},
                                 {SIZE_MAX / 16 + 1, 16},
                                 {(size_t)1 << 32, (size_t)1 << 32},
                                 {((size_t)1 << 32) + 1, (size_t)1 << 32},
                                 {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < COUNT_OF(factors); i++) {
        size_t a = opaque(factors[i][0]);
        size_t b = opaque(factors[i][1]);
        FAILS_WITH(ENOMEM, keep(CALLOC(a, b)));
        FAILS_WITH(ENOMEM, keep(CALLOC(b, a)));
        FAILS_WITH(ENOMEM, keep(REALLOCARRAY(NULL, a, b)));
        FAILS_WITH(ENOMEM, keep(REALLOCARRAY(NULL, b, a)));
    }
}

static void dirty(size_t size) {
    enum { BLOCKS = 8 };
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = MALLOC(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 0xff, USABLE_SIZE(blocks[i]));
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        FREE(keep(blocks[i]));
    }
}

static void assert_calloc_is_zero(size_t count, size_t size) {
    void *p = CALLOC(count, size);
    assert_non_null(p);
    assert_true(USABLE_SIZE(p) >= count * size);
    assert_zero(p, count * size);
    FREE(p);
}

static void test_calloc_zeroes_dirty_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes) - 1; i++) {
        dirty(sizes[i]);
        assert_calloc_is_zero(1, sizes[i]);
        assert_calloc_is_zero(sizes[i] / 2, 2);
        assert_calloc_is_zero(1, sizes[i] - sizes[i] / 4);
    }
}

static void test_calloc_zeroes_after_trim(void **state) {
    (void)state;
    for (size_t size = 16 * KIB; size <= 16 * MIB; size *= 4) {
        dirty(size);
        TRIM(0);
        assert_calloc_is_zero(1, size);
        assert_calloc_is_zero(3, size);
    }
}

/* A run of which one part was given back and the other part is dirty. */
static void test_calloc_zeroes_half_trimmed_runs(void **state) {
    (void)state;
    void *a = MALLOC(MIB);
    void *b = MALLOC(MIB);
    assert_non_null(a);
    assert_non_null(b);
    memset(a, 0xff, MIB);
    memset(b, 0xff, MIB);
    FREE(keep(a));
    TRIM(0);
    FREE(keep(b));
    assert_calloc_is_zero(1, 2 * MIB);
    assert_calloc_is_zero(2, 3 * MIB);
}

static void test_sized_frees(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = MALLOC(sizes[i]);
        assert_non_null(p);
        KEEPS_ERRNO(FREE_SIZED(p, sizes[i]));
        for (size_t alignment = 16; alignment <= 64 * KIB; alignment *= 8) {
            p = ALIGNED_ALLOC(alignment, sizes[i]);
            assert_non_null(p);
            KEEPS_ERRNO(FREE_ALIGNED_SIZED(p, alignment, sizes[i]));
        }
    }
}

/* Frees are real: a loop that would need 20 GB if they were not stays small. */
static void test_freed_memory_is_used_again(void **state) {
    (void)state;
    FREE(MALLOC(2 * MIB));
    size_t before = resident_bytes();
    for (size_t i = 0; i < 20000; i++) {
        size_t size = i % 2 == 0 ? 1000 : 2 * MIB;
        char *p = MALLOC(size);
        assert_non_null(p);
        p[0] = 1;
        p[size - 1] = 1;
        FREE(keep(p));
    }
    assert_true(resident_bytes() < before + 8 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malloc_zero_is_unique),
        cmocka_unit_test(test_calloc_of_nothing_is_unique),
        cmocka_unit_test(test_success_keeps_errno),
        cmocka_unit_test(test_usable_size_is_stable_and_writable),
        cmocka_unit_test(test_every_size_up_to_40000),
        cmocka_unit_test(test_default_alignment),
        cmocka_unit_test(test_blocks_do_not_overlap),
        cmocka_unit_test(test_absurd_sizes_fail),
        cmocka_unit_test(test_sizes_beyond_the_address_space_fail),
        cmocka_unit_test(test_products_that_overflow_fail),
        cmocka_unit_test(test_calloc_zeroes_dirty_memory),
        cmocka_unit_test(test_calloc_zeroes_after_trim),
        cmocka_unit_test(test_calloc_zeroes_half_trimmed_runs),
        cmocka_unit_test(test_sized_frees),
        cmocka_unit_test(test_freed_memory_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
