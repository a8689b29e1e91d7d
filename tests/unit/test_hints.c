/*
 * The address hints of every platform, on any machine: each list against its formula written out,
 * and what the formulas are for.
 */
#include "support.h"

#include "../../arch/arm64/hints.h"
#include "../../arch/x86_64/hints.h"

enum { HINTS = 0x80, RACE_HINTS = 0x20 };

static void all_differ(uint64_t (*hint)(unsigned), unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        assert_int_not_equal(hint(i), 0);
        for (unsigned j = 0; j < i; j++) {
            assert_int_not_equal(hint(i), hint(j));
        }
    }
}

static void all_below(uint64_t (*hint)(unsigned), unsigned bits) {
    for (unsigned i = 0; i < HINTS; i++) {
        assert_int_equal(hint(i) >> bits, 0);
    }
}

static void x86_64_list(void **state) {
    (void)state;
    assert_int_equal(hint_x86_64(0), UINT64_C(0x00c000000000));
    assert_int_equal(hint_x86_64(1), UINT64_C(0x01c000000000));
    assert_int_equal(hint_x86_64(2), UINT64_C(0x02c000000000));
    assert_int_equal(hint_x86_64(0x7f), UINT64_C(0x7fc000000000));
    for (unsigned i = 0; i < HINTS; i++) {
        assert_int_equal(hint_x86_64(i), (uint64_t)i * 0x10000000000 + 0xc000000000);
    }
    all_differ(hint_x86_64, HINTS);
    all_below(hint_x86_64, 47);
}

static void x86_64_race_list(void **state) {
    (void)state;
    assert_int_equal(hint_x86_64_race(0), UINT64_C(0x00c000000000));
    assert_int_equal(hint_x86_64_race(1), UINT64_C(0x00c100000000));
    assert_int_equal(hint_x86_64_race(0x1f), UINT64_C(0x00df00000000));
    for (unsigned i = 0; i < RACE_HINTS; i++) {
        assert_int_equal(hint_x86_64_race(i), UINT64_C(0xc000000000) + i * UINT64_C(0x100000000));
    }
    all_differ(hint_x86_64_race, RACE_HINTS);
}

static void x86_64_race_list_ends(void **state) {
    (void)state;
    for (unsigned i = RACE_HINTS; i < HINTS; i++) {
        assert_int_equal(hint_x86_64_race(i), 0);
    }
}

static void arm64_list(void **state) {
    (void)state;
    assert_int_equal(hint_arm64(0), UINT64_C(0x004000000000));
    assert_int_equal(hint_arm64(1), UINT64_C(0x014000000000));
    assert_int_equal(hint_arm64(0x7f), UINT64_C(0x7f4000000000));
    for (unsigned i = 0; i < HINTS; i++) {
        assert_int_equal(hint_arm64(i), (uint64_t)i * 0x10000000000 + 0x4000000000);
    }
    all_differ(hint_arm64, HINTS);
    all_below(hint_arm64, 48);
    assert_int_equal(hint_arm64(0) >> 39, 0);
}

static void arm64_darwin_list(void **state) {
    (void)state;
    assert_int_equal(hint_arm64_darwin(0), UINT64_C(0x000130000000));
    assert_int_equal(hint_arm64_darwin(1), UINT64_C(0x010130000000));
    assert_int_equal(hint_arm64_darwin(0x7f), UINT64_C(0x7f0130000000));
    for (unsigned i = 0; i < HINTS; i++) {
        assert_int_equal(hint_arm64_darwin(i), (uint64_t)i * 0x10000000000 + 0x130000000);
    }
    all_differ(hint_arm64_darwin, HINTS);
    all_below(hint_arm64_darwin, 47);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x86_64_list),           cmocka_unit_test(x86_64_race_list),
        cmocka_unit_test(x86_64_race_list_ends), cmocka_unit_test(arm64_list),
        cmocka_unit_test(arm64_darwin_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
