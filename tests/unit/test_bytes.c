/* The search for a changed byte, at each place of blocks of each length, and what is said of one. */
#include "support.h"

#include <string.h>

#include "bytes.h"

enum { MOST = 100 };

static void finds_every_byte(void **state) {
    char bytes[MOST];
    (void)state;
    for (size_t length = 0; length < MOST; length++) {
        memset(bytes, BYTES_CANARY, sizeof bytes);
        assert_null(bytes_first_other(bytes, length, BYTES_CANARY));
        for (size_t i = 0; i < MOST; i++) {
            bytes[i] ^= 1;
            assert_ptr_equal(bytes_first_other(bytes, length, BYTES_CANARY),
                             i < length ? &bytes[i] : NULL);
            bytes[i] ^= 1;
        }
    }
}

static void finds_the_first(void **state) {
    char bytes[MOST] = {0};
    (void)state;
    bytes[40] = bytes[41] = bytes[80] = 1;
    assert_ptr_equal(bytes_first_other(bytes, MOST, 0), &bytes[40]);
    assert_ptr_equal(bytes_first_other(bytes + 41, MOST - 41, 0), &bytes[41]);
    assert_ptr_equal(bytes_first_other(bytes + 42, MOST - 42, 0), &bytes[80]);
}

static char around[MOST];

/* A block of 20 bytes, 32 of canary before it. */
static void require(const void *changed) {
    memset(around, BYTES_CANARY, sizeof around);
    memset(around + 32, 0, 20);
    around[*(const int *)changed] = 0;
    bytes_require_canary("free", around + 32, 20, around, around + MOST);
}

static void complains(int changed, const char *message) {
    struct child child;
    run_child(&child, require, &changed);
    if (message == NULL) {
        assert_int_equal(child.status, 0);
    }
    assert_true(message == NULL ? child.length == 0 : strstr(child.text, message) != NULL);
}

static void names_what_was_changed(void **state) {
    (void)state;
    complains(32, NULL);
    complains(51, NULL);
    complains(52, "): overflow: byte 20 of a block of 20 bytes was written\n");
    complains(MOST - 1, "): overflow: byte 67 of a block of 20 bytes was written\n");
    complains(31, "): underflow: 1 bytes before a block of 20 bytes were written\n");
    complains(0, "): underflow: 32 bytes before a block of 20 bytes were written\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_byte),
        cmocka_unit_test(finds_the_first),
        cmocka_unit_test(names_what_was_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
