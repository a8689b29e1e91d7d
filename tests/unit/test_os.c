/* Each transition of address space with its postcondition, as the kernel at hand does it. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base.h"
#include "os.h"

enum { PAGES = 8 };

static size_t range(void) {
    return PAGES * os_page_size();
}

/* May it be read? A system call looks, so nothing faults. */
static bool is_readable(const void *address) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    bool readable = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

static bool is_mapped(void *address) {
    return msync(address, os_page_size(), MS_ASYNC) == 0;
}

static void page_size(void **state) {
    (void)state;
    assert_int_equal(os_page_size(), sysconf(_SC_PAGESIZE));
    assert_true(is_power_of_two(os_page_size()));
}

static void reserve_and_unreserve(void **state) {
    (void)state;
    char *base = os_reserve(NULL, range());
    assert_non_null(base);
    assert_true(is_mapped(base));
    assert_false(is_readable(base));
    os_unreserve(base, range());
    assert_false(is_mapped(base));
    assert_null(os_reserve(NULL, SIZE_MAX - os_page_size() + 1));
}

static void reserve_at_a_hint(void **state) {
    (void)state;
    char *base = os_reserve(NULL, range());
    os_unreserve(base, range());
    assert_ptr_equal(os_reserve(base, range()), base);
    char *elsewhere = os_reserve(base, range());
    assert_non_null(elsewhere);
    assert_ptr_not_equal(elsewhere, base);
    os_unreserve(base, range());
    os_unreserve(elsewhere, range());
}

/* An occupied address, even in part, is left as it is. */
static void reserve_at_exactly(void **state) {
    (void)state;
    char *base = os_reserve(NULL, range());
    os_unreserve(base, range());
    assert_true(os_reserve_at(base + os_page_size(), os_page_size()));
    assert_true(os_open(base + os_page_size(), os_page_size()));
    base[os_page_size()] = 7;
    assert_false(os_reserve_at(base + os_page_size(), os_page_size()));
    assert_false(os_reserve_at(base, range()));
    assert_int_equal(base[os_page_size()], 7);
    assert_false(is_mapped(base));
    os_unreserve(base + os_page_size(), os_page_size());
    assert_true(os_reserve_at(base, range()));
    os_unreserve(base, range());
}

static void open_in_steps(void **state) {
    (void)state;
    size_t page = os_page_size();
    char *base = os_reserve(NULL, range());
    assert_true(os_open(base, page));
    assert_true(is_zero(base, page));
    fill(base, page, 1);
    assert_false(is_readable(base + page));
    assert_true(os_open(base + page, 3 * page));
    assert_true(is_filled(base, page, 1));
    assert_true(is_zero(base + page, 3 * page));
    assert_false(is_readable(base + 4 * page));
    os_unreserve(base, range());
    assert_false(os_open(base, page));
}

static void open_for_reading_first(void **state) {
    (void)state;
    char *base = os_reserve(NULL, range());
    assert_true(os_open_for_reading(base, range()));
    assert_true(is_zero(base, range()));
    assert_true(os_open(base, os_page_size()));
    fill(base, os_page_size(), 2);
    assert_true(is_filled(base, os_page_size(), 2));
    assert_true(is_zero(base + os_page_size(), range() - os_page_size()));
    os_unreserve(base, range());
}

static void write_to(const void *argument) {
    *(volatile char *)(uintptr_t)argument = 1;
}

static void readable_is_not_writable(void **state) {
    struct child child;
    (void)state;
    char *base = os_map_readable(range());
    assert_true(base != NULL && is_zero(base, range()));
    assert_null(os_map_readable(SIZE_MAX - os_page_size() + 1));
    run_child(&child, write_to, base);
    assert_int_not_equal(child.status, 0);
    os_unreserve(base, range());
}

static void map(void **state) {
    (void)state;
    char *base = os_map(range());
    assert_non_null(base);
    assert_true(is_zero(base, range()));
    fill(base, range(), 3);
    assert_true(is_filled(base, range(), 3));
    os_unreserve(base, range());
    assert_null(os_map(SIZE_MAX - os_page_size() + 1));
}

static void discard(void **state) {
    (void)state;
    size_t page = os_page_size();
    char *base = os_map(range());
    fill(base, 3 * page, 4);
    fill(base + 3 * page, range() - 3 * page, 6);
    if (!os_discard(base + page, 2 * page)) {
        print_message("skipped: this system does not discard\n");
        assert_true(is_filled(base, 3 * page, 4));
        assert_true(is_filled(base + 3 * page, range() - 3 * page, 6));
        skip();
    }
    assert_true(is_filled(base, page, 4));
    assert_true(is_zero(base + page, 2 * page));
    assert_true(is_filled(base + 3 * page, range() - 3 * page, 6));
    fill(base, range(), 5);
    assert_true(is_filled(base, range(), 5));
    os_unreserve(base, range());
}

static void resident(void **state) {
    (void)state;
    size_t page = os_page_size();
    char *base = os_map(8 * page);
    assert_int_equal(os_resident(base, 8 * page), 0);
    base[0] = base[2 * page] = base[3 * page - 1] = base[7 * page] = 1;
    size_t bytes = os_resident(base, 8 * page);
    if (bytes != 0) { /* known */
        assert_int_equal(bytes, 3 * page);
        assert_int_equal(os_resident(base + page, page), 0);
    }
    os_unreserve(base, 8 * page);
    assert_int_equal(os_resident(base, 8 * page), 0);
}

static void skip_without_madvise(void) {
    if (takes_any_advice()) {
        print_message("skipped: this system lets madvise succeed without an effect\n");
        skip();
    }
}

static void discard_refused(void **state) {
    (void)state;
    skip_without_madvise();
    char *base = os_map(range());
    os_unreserve(base, range());
    errno = 4711;
    assert_false(os_discard(base, range()));
    assert_int_equal(errno, 4711);
}

static void move_pages(void **state) {
    (void)state;
    size_t page = os_page_size();
    char *from = os_map(range()), *to = os_map(range());
    fill(from, range(), 6);
    fill(to, range(), 7);
    fill(from + page, 4 * page, 8);
    if (!os_move_pages(to + 2 * page, from + page, 4 * page)) {
        print_message("skipped: this system does not move pages\n");
        skip();
    }
    assert_true(is_filled(to + 2 * page, 4 * page, 8));
    assert_true(is_zero(from + page, 4 * page));
    assert_true(is_filled(to, 2 * page, 7));
    assert_true(is_filled(from, page, 6));
    fill(from, range(), 9); /* both are still ours, and apart */
    assert_true(is_filled(to + 2 * page, 4 * page, 8));
    assert_true(is_readable(from + 2 * page));
    os_unreserve(from, range());
    os_unreserve(to, range());
}

/* A source that is not there: the target stays ours, whatever the kernel did to it meanwhile. */
static void move_pages_refused(void **state) {
    (void)state;
    char *from = os_map(range()), *to = os_map(range());
    os_unreserve(from, range());
    assert_false(os_move_pages(to, from, range()));
    fill(to, range(), 1);
    assert_true(is_filled(to, range(), 1));
    os_unreserve(to, range());
}

static void is_wiped(const void *memory) {
    CHECK(is_zero(memory, os_page_size()));
    CHECK(*(const char *)memory == 0);
}

static void wiped_by_fork(void **state) {
    (void)state;
    skip_without_madvise();
    char *base = os_map_wiped_by_fork(os_page_size());
    if (base == NULL) {
        print_message("skipped: this system does not wipe memory in a child\n");
        skip();
    }
    assert_true(is_zero(base, os_page_size()));
    fill(base, os_page_size(), 1);
    assert_child_passes(is_wiped, base);
    assert_true(is_filled(base, os_page_size(), 1));
    os_unreserve(base, os_page_size());
}

TEST_IN_CHILD(address_space_limit) {
    (void)unused;
    struct rlimit limit = {GIB, 2 * GIB};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    if (limit.rlim_cur != GIB) {
        skip_child("RLIMIT_AS has no effect here");
    }
    CHECK(os_address_space_limit() == GIB);
}

static void files(void **state) {
    char path[] = "/tmp/unit_os_XXXXXX", text[16];
    (void)state;
    int made = mkstemp(path);
    os_write(made, "some text", 9);
    int fd = os_open_file(path);
    unlink(path);
    assert_true(made >= 0 && fd >= 0);
    assert_int_equal(os_read(fd, text, 4), 4);
    assert_memory_equal(text, "some", 4);
    int copy = os_duplicate(fd);
    assert_true(copy >= 100);
    os_close(fd);
    assert_true(os_read(fd, text, 4) < 0);
    assert_int_equal(os_read(copy, text, sizeof text), 5);
    assert_memory_equal(text, " text", 5);
    assert_int_equal(os_read(copy, text, sizeof text), 0);
    os_close(copy);
    close(made);
    assert_true(os_open_file("/nowhere/at/all") < 0);
}

static void forbid_and_open(void **state) {
    size_t page = os_page_size();
    char *base = os_map(2 * page);
    (void)state;
    base[0] = base[page] = 7;
    assert_true(os_is_readable(base) && os_is_readable(base + page));
    assert_true(os_forbid(base + page, page));
    assert_true(os_is_readable(base + page - 16));
    assert_false(os_is_readable(base + page));
    assert_true(os_open(base + page, page));
    assert_int_equal(base[page], 7);
    os_unreserve(base, 2 * page);
    assert_false(os_is_readable(base));
    assert_false(os_is_readable(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_size),
        cmocka_unit_test(reserve_and_unreserve),
        cmocka_unit_test(reserve_at_a_hint),
        cmocka_unit_test(reserve_at_exactly),
        cmocka_unit_test(open_in_steps),
        cmocka_unit_test(open_for_reading_first),
        cmocka_unit_test(readable_is_not_writable),
        cmocka_unit_test(forbid_and_open),
        cmocka_unit_test(map),
        cmocka_unit_test(discard),
        cmocka_unit_test(discard_refused),
        cmocka_unit_test(resident),
        cmocka_unit_test(move_pages),
        cmocka_unit_test(move_pages_refused),
        cmocka_unit_test(wiped_by_fork),
        cmocka_unit_test(address_space_limit),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
