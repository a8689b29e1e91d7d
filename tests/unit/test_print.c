/* The formatter against snprintf, which is right by definition where both know a format. */
#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "print.h"

enum { SIZE = 256 };

/* Formats by both and compares text and length. The compiler does not check the formats of
 * print_buffer, and some here are not its own. */
#define SAME(ours, theirs, ...)                                                                    \
    do {                                                                                           \
        char want[SIZE], got[SIZE];                                                                \
        int want_length = snprintf(want, sizeof want, theirs, __VA_ARGS__);                        \
        size_t got_length = print_buffer(got, sizeof got, ours, __VA_ARGS__);                      \
        assert_string_equal(got, want);                                                            \
        assert_int_equal(got_length, want_length);                                                 \
    } while (0)

static void plain_text(void **state) {
    (void)state;
    SAME("nothing to do%s", "nothing to do%s", "");
    SAME("100%% of %s%%", "100%% of %s%%", "it");
    SAME("%s and %s", "%s and %s", "one", "two");
    SAME("[%s]", "[%s]", "");
}

static void null_string(void **state) {
    (void)state;
    char text[SIZE];
    print_buffer(text, sizeof text, "[%s]", (const char *)NULL);
    assert_string_equal(text, "[(null)]");
}

static void numbers(void **state) {
    static const int ints[] = {0, 1, -1, 9, 10, -10, 12345, -99999, INT_MAX, INT_MIN};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ints); i++) {
        SAME("%d", "%d", ints[i]);
        SAME("%u", "%u", (unsigned)ints[i]);
    }
    static const size_t sizes[] = {0, 7, 4096, UINT32_MAX, SIZE_MAX / 10, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        SAME("%zu|", "%zu|", sizes[i]);
        SAME("%x|", "%lx|", (uintptr_t)sizes[i]);
    }
}

static void pointers(void **state) {
    (void)state;
    SAME("%p", "%p", (void *)state);
    SAME("%p", "%p", (void *)1);
    SAME("%p", "%p", (void *)UINTPTR_MAX);
    char text[SIZE];
    print_buffer(text, sizeof text, "%p", NULL);
    assert_string_equal(text, "0x0");
}

/* Text is filled on the right, numbers on the left; other letters have no width. */
static void widths(void **state) {
    (void)state;
    SAME("[%6s]", "[%-6s]", "abc");
    SAME("[%3s]", "[%-3s]", "abcdef");
    SAME("[%20s|%1s]", "[%-20s|%-1s]", "", "x");
    SAME("[%12u]", "[%12u]", UINT_MAX);
    SAME("[%2u]", "[%2u]", UINT_MAX);
    SAME("[%1u|%9u]", "[%1u|%9u]", 0u, 0u);
    SAME("[%30zu]", "[%30zu]", SIZE_MAX);
    SAME("[%100zu]", "[%100zu]", (size_t)0);
}

/* Every size of buffer: what fits, a NUL, and not a byte behind. */
static void cutting(void **state) {
    char want[SIZE], got[SIZE];
    (void)state;
    int whole = snprintf(want, sizeof want, "%-9s%10zu %p", "text", (size_t)42, (void *)state);
    for (size_t size = 1; size <= (size_t)whole + 2; size++) {
        memset(got, '#', sizeof got);
        size_t length = print_buffer(got, size, "%9s%10zu %p", "text", (size_t)42, (void *)state);
        assert_int_equal(length, size <= (size_t)whole ? size - 1 : (size_t)whole);
        assert_memory_equal(got, want, length);
        assert_int_equal(got[length], '\0');
        assert_int_equal(got[size], '#');
    }
}

static void written_at_once(void **state) {
    int ends[2];
    char text[2048], longer[1500];
    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_DIRECT), 0); /* a read returns one write */
    print_fd(ends[1], "%s=%zu\n", "value", (size_t)17);
    assert_int_equal(read(ends[0], text, sizeof text), 9);
    assert_memory_equal(text, "value=17\n", 9);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    print_fd(ends[1], "%s", longer);
    assert_int_equal(read(ends[0], text, sizeof text), 1023);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text),      cmocka_unit_test(null_string), cmocka_unit_test(numbers),
        cmocka_unit_test(pointers),        cmocka_unit_test(widths),      cmocka_unit_test(cutting),
        cmocka_unit_test(written_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
