/* The queue of freed objects: first in, first out, and no more bytes than the option says. */
#include "support.h"

#include "mcentral.h"
#include "options.h"
#include "quarantine.h"

enum { MANY = 20000, SIZE = 64 };

static void *objects[MANY];

static void take_objects(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        void **end = &objects[i] + 1;
        CHECK(mcentral_take(0, size_class(SIZE), end, 1) == 1);
    }
}

/* Puts all in, and checks that they come out in this order. Returns how many do. */
static unsigned put_in(unsigned n) {
    void *out[QUARANTINE_OUT_MOST];
    unsigned next = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned got = quarantine_exchange(objects[i], SIZE, out);
        for (unsigned k = 0; k < got; k++) {
            CHECK(out[k] == objects[next++]);
        }
        CHECK(quarantine_bytes() == (i + 1 - next) * SIZE);
    }
    return next;
}

TEST_IN_CHILD(keeps_the_last) {
    (void)unused;
    options.quarantine = 100 * SIZE;
    take_objects(1000);
    CHECK(put_in(1000) == 900);
}

TEST_IN_CHILD(has_a_limited_number_of_places) {
    (void)unused;
    options.quarantine = GIB;
    take_objects(MANY);
    unsigned out = put_in(MANY);
    CHECK(out > 0 && out < MANY);
}

TEST_IN_CHILD(may_keep_nothing) {
    (void)unused;
    options.quarantine = 0;
    take_objects(100);
    CHECK(put_in(100) == 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_last),
        cmocka_unit_test(has_a_limited_number_of_places),
        cmocka_unit_test(may_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
