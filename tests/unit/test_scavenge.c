/*
 * What lies idle goes back, at the pace that the clock sets, and nothing that was in use within the
 * last period. The clock is the test's own.
 */
#include "mheap.h"
#include "scavenge.h"
#include "support.h"

#define SECOND 1000
#define PERIOD (SECOND / 2)
#define BIG (64 * MIB)

static size_t dirty(void) {
    return mheap_get_stats().free_dirty;
}

/* The clock ticks from `from` for so long, in steps of 10 ms. Returns the end. */
static uint64_t tick(uint64_t from, uint64_t time) {
    for (uint64_t now = from; now <= from + time; now += 10) {
        scavenge(now);
    }
    return from + time;
}

TEST_IN_CHILD(idle_memory_goes_back) {
    (void)unused;
    skip_where_nothing_goes_back();
    use_and_free(BIG);
    uint64_t now = tick(SECOND, PERIOD - 10);
    CHECK(dirty() >= BIG); /* not free for a whole period yet */
    now = tick(now, 3 * SECOND);
    CHECK(dirty() < MIB);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(memory_in_use_again_and_again_stays) {
    (void)unused;
    skip_where_nothing_goes_back();
    use_and_free(BIG);
    for (uint64_t now = SECOND; now < 10 * SECOND; now += 10) {
        if (now % 200 == 0) {
            use_and_free(BIG);
        }
        scavenge(now);
    }
    CHECK(dirty() >= BIG);
}

/* The half that is used five times a second stays; the other goes. */
TEST_IN_CHILD(the_idle_part_goes_back) {
    (void)unused;
    skip_where_nothing_goes_back();
    use_and_free(BIG);
    for (uint64_t now = SECOND; now < 10 * SECOND; now += 10) {
        if (now % 200 == 0) {
            use_and_free(BIG / 2);
        }
        scavenge(now);
    }
    CHECK(dirty() >= BIG / 2 && dirty() < BIG / 2 + 2 * MIB);
}

/* No call gives back more than 64 MiB, or asks for more than a few steps, however long ago the last
 * one was. */
TEST_IN_CHILD(steps_are_bounded) {
    (void)unused;
    skip_where_nothing_goes_back();
    use_and_free(4 * BIG);
    tick(SECOND, PERIOD - 10);
    scavenge(100 * SECOND);
    size_t before = dirty();
    CHECK(scavenge(200 * SECOND).steps == 64);
    CHECK(before - dirty() <= BIG && before > dirty());
}

static unsigned steps_of(unsigned calls, uint64_t now) {
    unsigned steps = 0;
    for (; calls > 0; calls--) {
        unsigned more = scavenge(now).steps;
        CHECK(more <= 1);
        steps += more;
    }
    return steps;
}

/* One step a call and a millisecond, and what there were too few calls for at the next look. */
TEST_IN_CHILD(steps_are_spread_over_calls) {
    (void)unused;
    CHECK(steps_of(10, SECOND) == 0);
    CHECK(steps_of(10, SECOND + 3) == 0);
    CHECK(steps_of(10, SECOND + 4) == 4);
    CHECK(steps_of(10, SECOND + 12) == 8);
    CHECK(steps_of(3, SECOND + 22) == 3);
    CHECK(scavenge(SECOND + 32).steps == 7 + 1);
    CHECK(steps_of(20, SECOND + 32) == 9);
}

TEST_IN_CHILD(a_clock_that_stands_still_does_no_harm) {
    (void)unused;
    use_and_free(BIG);
    for (unsigned i = 0; i < 1000; i++) {
        scavenge(0);
        scavenge(SECOND);
    }
    CHECK(dirty() >= BIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_memory_goes_back),
        cmocka_unit_test(memory_in_use_again_and_again_stays),
        cmocka_unit_test(the_idle_part_goes_back),
        cmocka_unit_test(steps_are_bounded),
        cmocka_unit_test(steps_are_spread_over_calls),
        cmocka_unit_test(a_clock_that_stands_still_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
