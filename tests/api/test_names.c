/*
 * Which library answers to which name: with libgoalloc every allocation function of the C library
 * is goalloc's, with libgoalloc-noimpl none is. Also the entry points that have no goalloc_ name.
 */
#include "support.h"

#include <dlfcn.h>
#include <stdio.h>

#ifndef API_NOIMPL
static const char *const standard_names[] = {
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "free",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
    "valloc",
    "pvalloc",
    "cfree",
    "malloc_usable_size",
    "malloc_trim",
    "mallopt",
    "mallinfo",
    "mallinfo2",
    "malloc_info",
    "malloc_stats",
    "free_sized",
    "free_aligned_sized",
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "__libc_valloc",
    "__libc_pvalloc",
};
#endif

static const char *const own_names[] = {
    "goalloc_version",       "goalloc_malloc",         "goalloc_calloc",
    "goalloc_realloc",       "goalloc_reallocarray",   "goalloc_free",
    "goalloc_free_sized",    "goalloc_posix_memalign", "goalloc_free_aligned_sized",
    "goalloc_aligned_alloc", "goalloc_memalign",       "goalloc_valloc",
    "goalloc_pvalloc",       "goalloc_usable_size",    "goalloc_trim",
    "goalloc_get_stats",     "goalloc_print_stats",    "goalloc_info",
};

static bool is_ours(const char *name) {
    void *address = dlsym(RTLD_DEFAULT, name);
    Dl_info info;
    if (address == NULL || dladdr(address, &info) == 0) {
        fail_msg("%s is nowhere", name);
    }
    const char *slash = strrchr(info.dli_fname, '/');
    const char *file = slash != NULL ? slash + 1 : info.dli_fname;
    return strncmp(file, API_LIBRARY, strlen(API_LIBRARY)) == 0;
}

static void test_own_names(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(own_names); i++) {
        if (!is_ours(own_names[i])) {
            fail_msg("%s is not in %s", own_names[i], API_LIBRARY);
        }
    }
}

static void test_version(void **state) {
    (void)state;
    char want[64];
    snprintf(want, sizeof(want), "%d.%d.%d", GOALLOC_VERSION_MAJOR, GOALLOC_VERSION_MINOR,
             GOALLOC_VERSION_PATCH);
    assert_string_equal(goalloc_version(), want);
}

#ifdef API_NOIMPL

static void test_standard_names_stay_with_the_c_library(void **state) {
    (void)state;
    const char *const names[] = {"malloc", "free", "calloc", "realloc", "memalign", "mallinfo2"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_false(is_ours(names[i]));
    }
}

/* Two heaps in one process: blocks of one do not count in the other. */
static void test_heaps_are_separate(void **state) {
    (void)state;
    size_t before = allocated_bytes();
    void *theirs = malloc(100 * KIB);
    assert_non_null(theirs);
    assert_int_equal(allocated_bytes(), before);
    void *ours = MALLOC(100 * KIB);
    assert_non_null(ours);
    assert_true(allocated_bytes() >= before + 100 * KIB);
    fill(theirs, 100 * KIB, 1);
    fill(ours, 100 * KIB, 2);
    assert_filled(theirs, 100 * KIB, 1);
    assert_filled(ours, 100 * KIB, 2);
    FREE(ours);
    free(theirs);
}

#else

static void test_standard_names(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(standard_names); i++) {
        if (!is_ours(standard_names[i])) {
            fail_msg("%s is not in %s", standard_names[i], API_LIBRARY);
        }
    }
}

/* A pointer from one name may go to any other. */
static void test_libc_aliases(void **state) {
    (void)state;
    for (size_t n = 0; n < 100000; n = n * 2 + 1) {
        void *p;
        KEEPS_ERRNO(p = __libc_malloc(n));
        assert_non_null(p);
        assert_true(malloc_usable_size(p) >= n);
        fill(p, n, 1);
        KEEPS_ERRNO(p = __libc_realloc(p, 2 * n + 1));
        assert_non_null(p);
        assert_filled(p, n, 1);
        free(p);
        KEEPS_ERRNO(p = __libc_calloc(n, 2));
        assert_non_null(p);
        assert_zero(p, 2 * n);
        p = realloc(p, n + 1);
        assert_non_null(p);
        KEEPS_ERRNO(__libc_free(p));
        KEEPS_ERRNO(p = __libc_memalign(256, n));
        assert_non_null(p);
        assert_true(is_aligned(p, 256));
        KEEPS_ERRNO(cfree(p));
    }
    KEEPS_ERRNO(__libc_free(NULL));
    KEEPS_ERRNO(cfree(NULL));
}

static void test_libc_page_aliases(void **state) {
    (void)state;
    void *p = __libc_valloc(100);
    void *q = __libc_pvalloc(100);
    assert_non_null(p);
    assert_non_null(q);
    assert_true(is_aligned(p, 4096));
    assert_true(is_aligned(q, 4096));
    assert_true(malloc_usable_size(q) >= 4096);
    free(p);
    free(q);
}

static void test_libc_aliases_fail_alike(void **state) {
    (void)state;
    FAILS_WITH(ENOMEM, keep(__libc_malloc(opaque(SIZE_MAX))));
    FAILS_WITH(ENOMEM, keep(__libc_calloc(opaque(SIZE_MAX), 2)));
    FAILS_WITH(ENOMEM, keep(__libc_realloc(NULL, opaque(SIZE_MAX))));
    FAILS_WITH(ENOMEM, keep(__libc_valloc(opaque(SIZE_MAX))));
    FAILS_WITH(ENOMEM, keep(__libc_pvalloc(opaque(SIZE_MAX))));
    FAILS_WITH(EINVAL, keep(__libc_memalign(opaque(SIZE_MAX), 16)));
}

static void test_mallopt(void **state) {
    (void)state;
    const int known[] = {M_MXFAST,  M_TRIM_THRESHOLD, M_TOP_PAD,    M_MMAP_THRESHOLD, M_MMAP_MAX,
                         M_PERTURB, M_CHECK_ACTION,   M_ARENA_TEST, M_ARENA_MAX};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        int accepted;
        KEEPS_ERRNO(accepted = mallopt(known[i], 1));
        assert_int_equal(accepted, 1);
    }
    const int unknown[] = {0, 5, 99, 12345, -9, -999};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_int_equal(mallopt(unknown[i], 1), 0);
    }
}

static void test_mallinfo2(void **state) {
    (void)state;
    struct mallinfo2 before = mallinfo2();
    void *p = malloc(10 * MIB);
    assert_non_null(p);
    struct mallinfo2 with = mallinfo2();
    assert_true(with.uordblks >= before.uordblks + 10 * MIB);
    assert_true(with.uordblks < before.uordblks + 12 * MIB);
    assert_true(with.arena + with.hblkhd >= with.uordblks);
    free(p);
    assert_int_equal(mallinfo2().uordblks, before.uordblks);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void test_mallinfo(void **state) {
    (void)state;
    struct mallinfo before = mallinfo();
    void *p = malloc(10 * MIB);
    assert_non_null(p);
    assert_true(mallinfo().uordblks >= before.uordblks + (int)(10 * MIB));
    assert_int_equal(mallinfo().uordblks, (int)mallinfo2().uordblks);
    free(p);
}
#pragma GCC diagnostic pop

static void test_both_sets_of_names_share_one_heap(void **state) {
    (void)state;
    char *p = malloc(100);
    assert_non_null(p);
    assert_int_equal(goalloc_usable_size(p), malloc_usable_size(p));
    fill(p, 100, 4);
    p = goalloc_realloc(p, 100000);
    assert_non_null(p);
    assert_filled(p, 100, 4);
    free(p);
    goalloc_free(malloc(100000));
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_names),
        cmocka_unit_test(test_version),
#ifdef API_NOIMPL
        cmocka_unit_test(test_standard_names_stay_with_the_c_library),
        cmocka_unit_test(test_heaps_are_separate),
#else
        cmocka_unit_test(test_standard_names),
        cmocka_unit_test(test_libc_aliases),
        cmocka_unit_test(test_libc_page_aliases),
        cmocka_unit_test(test_libc_aliases_fail_alike),
        cmocka_unit_test(test_mallopt),
        cmocka_unit_test(test_mallinfo2),
        cmocka_unit_test(test_mallinfo),
        cmocka_unit_test(test_both_sets_of_names_share_one_heap),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
