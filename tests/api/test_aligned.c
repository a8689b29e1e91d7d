/*
 * Contract of the aligned functions: every alignment from 1 byte to 1 GiB with sizes around the
 * borders of size classes and pages, bad alignments, and arithmetic near SIZE_MAX.
 */
#include "support.h"

#include <unistd.h>

/* From here on blocks are checked one at a time: several such would eat the address space. */
#define WIDE_ALIGNMENT (16 * MIB)

/* No more than this is filled of a block, however much room an alignment brings with it. */
#define FILL_LIMIT (2 * MIB)

static const size_t sizes[] = {0, 1, 7, 8, 9, 16, 24, 100, 4095, 4096, 4097, 32 * KIB, 32769, MIB};

typedef void *aligned_function(size_t alignment, size_t size);

static void *call_posix_memalign(size_t alignment, size_t size) {
    void *out = NULL;
    int error;
    KEEPS_ERRNO(error = POSIX_MEMALIGN(&out, alignment, size));
    assert_int_equal(error, 0);
    return out;
}

static size_t fill_size(void *p) {
    size_t usable = USABLE_SIZE(p);
    return usable < FILL_LIMIT ? usable : FILL_LIMIT;
}

static void *checked_call(aligned_function *function, size_t alignment, size_t size) {
    void *p;
    KEEPS_ERRNO(p = function(alignment, size));
    assert_non_null(p);
    assert_true(is_aligned(p, alignment));
    size_t usable = USABLE_SIZE(p);
    assert_true(usable >= size);
    assert_true(usable > 0);
    ((char *)p)[usable - 1] = 1;
    fill(p, fill_size(p), (unsigned)(alignment + size));
    return p;
}

static void checked_free(void *p, size_t alignment, size_t size) {
    assert_filled(p, fill_size(p), (unsigned)(alignment + size));
    KEEPS_ERRNO(FREE(p));
}

static void check_alignment(aligned_function *function, size_t alignment) {
    void *blocks[COUNT_OF(sizes)];
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        blocks[i] = checked_call(function, alignment, sizes[i]);
        if (alignment >= WIDE_ALIGNMENT) {
            checked_free(blocks[i], alignment, sizes[i]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(sizes) && alignment < WIDE_ALIGNMENT; i++) {
        checked_free(blocks[i], alignment, sizes[i]);
    }
}

static void test_memalign_matrix(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
        check_alignment(MEMALIGN, alignment);
    }
}

static void test_aligned_alloc_matrix(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
        check_alignment(ALIGNED_ALLOC, alignment);
    }
}

static void test_posix_memalign_matrix(void **state) {
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= GIB; alignment *= 2) {
        check_alignment(call_posix_memalign, alignment);
    }
}

/* The guarantee of malloc holds for small alignments too. */
static void test_small_alignments_keep_the_default(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= 16; alignment *= 2) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            void *p = MEMALIGN(alignment, sizes[i]);
            assert_non_null(p);
            assert_true(is_aligned(p, sizes[i] > 8 ? 16 : 8));
            FREE(p);
        }
    }
}

static void test_valloc_and_pvalloc(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p;
        KEEPS_ERRNO(p = VALLOC(sizes[i]));
        assert_non_null(p);
        assert_true(is_aligned(p, page));
        assert_true(USABLE_SIZE(p) >= sizes[i]);
        fill(p, sizes[i], 1);
        void *q;
        KEEPS_ERRNO(q = PVALLOC(sizes[i]));
        assert_non_null(q);
        assert_true(is_aligned(q, page));
        assert_true(USABLE_SIZE(q) >= (sizes[i] + page - 1) / page * page);
        fill(q, (sizes[i] + page - 1) / page * page, 2);
        assert_filled(p, sizes[i], 1);
        FREE(p);
        FREE(q);
    }
}

static void test_size_zero_is_unique(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= MIB; alignment *= 2) {
        void *p[4];
        for (size_t i = 0; i < COUNT_OF(p); i++) {
            p[i] = MEMALIGN(alignment, opaque(0));
            assert_non_null(p[i]);
            assert_true(is_aligned(p[i], alignment));
            for (size_t k = 0; k < i; k++) {
                assert_ptr_not_equal(p[i], p[k]);
            }
        }
        for (size_t i = 0; i < COUNT_OF(p); i++) {
            FREE(p[i]);
        }
    }
}

static const size_t bad_alignments[] = {
    0, 3, 5, 6, 7, 9, 12, 24, 48, 100, 4095, 4097, 12288, SIZE_MAX, SIZE_MAX - 1, PTRDIFF_MAX};

static void test_bad_alignment_is_einval(void **state) {
    (void)state;
    const size_t with_sizes[] = {0, 1, 16, 100, 40000, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad_alignments); i++) {
        size_t alignment = opaque(bad_alignments[i]);
        for (size_t k = 0; k < COUNT_OF(with_sizes); k++) {
            size_t size = opaque(with_sizes[k]);
            FAILS_WITH(EINVAL, keep(ALIGNED_ALLOC(alignment, size)));
        }
    }
}

/* As the C library's does. */
static void test_memalign_rounds_the_alignment_up(void **state) {
    (void)state;
    const size_t rounded[][2] = {{0, 1},       {3, 4},         {5, 8},
                                 {24, 32},     {100, 128},     {4095, 4096},
                                 {4097, 8192}, {12288, 16384}, {MIB + 1, 2 * MIB}};
    for (size_t i = 0; i < COUNT_OF(rounded); i++) {
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            void *p;
            KEEPS_ERRNO(p = MEMALIGN(opaque(rounded[i][0]), opaque(sizes[k])));
            assert_non_null(p);
            assert_true(is_aligned(p, rounded[i][1]) && USABLE_SIZE(p) >= sizes[k]);
            FREE(p);
        }
    }
    FAILS_WITH(EINVAL, keep(MEMALIGN(opaque(SIZE_MAX), 0)));
    FAILS_WITH(EINVAL, keep(MEMALIGN(opaque((size_t)PTRDIFF_MAX + 2), 16)));
}

static void assert_posix_memalign_fails(int want, size_t alignment, size_t size) {
    static char untouched;
    void *out = &untouched;
    int error;
    KEEPS_ERRNO(error = POSIX_MEMALIGN(&out, opaque(alignment), opaque(size)));
    assert_int_equal(error, want);
    assert_ptr_equal(out, &untouched);
}

static void test_posix_memalign_failures(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_alignments); i++) {
        assert_posix_memalign_fails(EINVAL, bad_alignments[i], 100);
    }
    for (size_t alignment = 1; alignment < sizeof(void *); alignment *= 2) {
        assert_posix_memalign_fails(EINVAL, alignment, 100);
    }
    assert_posix_memalign_fails(ENOMEM, sizeof(void *), SIZE_MAX);
    assert_posix_memalign_fails(ENOMEM, 64, (size_t)PTRDIFF_MAX + 1);
    assert_posix_memalign_fails(ENOMEM, 64, PTRDIFF_MAX);
}

static void test_sizes_near_size_max_fail(void **state) {
    (void)state;
    for (size_t below = 0; below < 70000; below = below * 2 + 1) {
        size_t size = opaque(SIZE_MAX - below);
        for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
            FAILS_WITH(ENOMEM, keep(MEMALIGN(alignment, size)));
            FAILS_WITH(ENOMEM, keep(ALIGNED_ALLOC(alignment, size)));
            FAILS_WITH(ENOMEM, keep(MEMALIGN(alignment, (size_t)PTRDIFF_MAX - below)));
            assert_posix_memalign_fails(ENOMEM, alignment < 8 ? 8 : alignment, size);
        }
        FAILS_WITH(ENOMEM, keep(VALLOC(size)));
        FAILS_WITH(ENOMEM, keep(PVALLOC(size)));
    }
}

/* More than the address space holds, however the request is split. */
static void test_vast_alignments_fail(void **state) {
    (void)state;
    for (unsigned shift = 58; shift < 64; shift++) {
        size_t alignment = opaque((size_t)1 << shift);
        FAILS_WITH(ENOMEM, keep(MEMALIGN(alignment, 16)));
        FAILS_WITH(ENOMEM, keep(ALIGNED_ALLOC(alignment, opaque(SIZE_MAX - 100))));
        assert_posix_memalign_fails(ENOMEM, alignment, 16);
    }
}

static void test_blocks_do_not_overlap(void **state) {
    (void)state;
    static void *blocks[1200];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        size_t alignment = (size_t)1 << (i % 15);
        size_t size = (i * 131) % (i % 8 == 0 ? 40000 : 400);
        blocks[i] = MEMALIGN(alignment, size);
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], alignment));
        fill(blocks[i], USABLE_SIZE(blocks[i]), (unsigned)i);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        assert_filled(blocks[i], USABLE_SIZE(blocks[i]), (unsigned)i);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        FREE(blocks[i]);
    }
}

/* An aligned run must not keep the pages that alignment skipped. */
static void test_alignment_waste_is_used_again(void **state) {
    (void)state;
    void *blocks[64];
    size_t before = resident_bytes();
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = MEMALIGN(MIB, 64 * KIB);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 64 * KIB);
    }
    assert_true(resident_bytes() - before < 16 * MIB);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        FREE(keep(blocks[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memalign_matrix),
        cmocka_unit_test(test_aligned_alloc_matrix),
        cmocka_unit_test(test_posix_memalign_matrix),
        cmocka_unit_test(test_small_alignments_keep_the_default),
        cmocka_unit_test(test_valloc_and_pvalloc),
        cmocka_unit_test(test_size_zero_is_unique),
        cmocka_unit_test(test_bad_alignment_is_einval),
        cmocka_unit_test(test_memalign_rounds_the_alignment_up),
        cmocka_unit_test(test_posix_memalign_failures),
        cmocka_unit_test(test_sizes_near_size_max_fail),
        cmocka_unit_test(test_vast_alignments_fail),
        cmocka_unit_test(test_blocks_do_not_overlap),
        cmocka_unit_test(test_alignment_waste_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
