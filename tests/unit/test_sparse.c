/* Spans that are mostly free: which begin to drain, and which of their pages go back to the system,
 * at once or when they have been idle. Each test has a heap of its own. */
#include "support.h"

#include <stdatomic.h>
#include <sys/single_threaded.h>

#include "arena.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "os.h"
#include "scavenge.h"
#include "sparse.h"

/* Of 64 bytes, whose spans all have one page, of the heap, that is two of most systems. */
enum {
    CLASS_SIZE = 64,
    IN_PAGE = 128,
    IN_HALF = IN_PAGE / 2,
    SPANS = 160,
    BATCH = 32,
    THREADS = 3,
    PERIOD = 1000
};

#define HALF (PAGE_SIZE / 2)

static void *objects[SPANS * IN_PAGE];
static uint64_t now = 1000 * PERIOD;
static atomic_uint finished;

/* In the order of their addresses, as far as they come from one span. */
static void take(void **to, unsigned n) {
    void *batch[BATCH];
    while (n > 0) {
        unsigned want = n < BATCH ? n : BATCH;
        unsigned got = mcentral_take(0, size_class(CLASS_SIZE), batch + BATCH, want);
        CHECK(got > 0 && got <= want);
        for (unsigned i = 0; i < got; i++) {
            *to++ = batch[BATCH - 1 - i];
        }
        n -= got;
    }
}

static void give(void **object) {
    mcentral_give(size_class(CLASS_SIZE), object, 1, "free");
}

/* Takes full spans, and gives back all but the first `left` objects of each but the last. */
static void make_sparse(unsigned spans, unsigned left) {
    take(objects, spans * IN_PAGE);
    for (unsigned i = 0; i < spans * IN_PAGE; i++) {
        fill(objects[i], CLASS_SIZE, i);
        CHECK(i % IN_PAGE == 0 || objects[i] == (char *)objects[i - 1] + CLASS_SIZE);
    }
    for (unsigned i = 0; i < (spans - 1) * IN_PAGE; i++) {
        if (i % IN_PAGE >= left) {
            give(&objects[i]);
        }
    }
    mcentral_trim(0, size_class(CLASS_SIZE), SIZE_MAX);
    CHECK(mcentral_get_stats(size_class(CLASS_SIZE)).span_count == spans);
    CHECK(mcentral_is_valid(size_class(CLASS_SIZE)));
}

static void check_contents(unsigned spans, unsigned left) {
    for (unsigned i = 0; i < spans * IN_PAGE; i++) {
        CHECK(i % IN_PAGE >= left || is_filled(objects[i], CLASS_SIZE, i));
    }
    CHECK(mcentral_is_valid(size_class(CLASS_SIZE)));
}

static bool is_draining(unsigned span) {
    uintptr_t address = (uintptr_t)objects[span * IN_PAGE];
    return arena_page_class(&arenas[0], arena_page(&arenas[0], address)) == 0;
}

static unsigned count_draining(unsigned spans) {
    unsigned count = 0;
    for (unsigned i = 0; i < spans; i++) {
        count += is_draining(i);
    }
    return count;
}

/* Of the pages of objects [first, first + IN_HALF) of each of the spans, how many are resident. */
static unsigned count_resident(unsigned spans, unsigned first) {
    unsigned count = 0;
    for (unsigned i = 0; i < spans; i++) {
        count += resident_pages(objects[i * IN_PAGE + first], HALF) > 0;
    }
    return count;
}

static void skip_where_pages_are_large(void) {
    skip_where_nothing_goes_back();
    if (os_page_size() != HALF) {
        skip_child("a page of this system is no half of one of the heap's");
    }
}

static void let_a_period_pass(void) {
    unsigned before = scavenge_periods();
    scavenge(now);
    scavenge(now += 10); /* the first period has begun by now */
    now += PERIOD;
    CHECK(scavenge(now).period && scavenge_periods() == before + 1);
    while (sparse_punch_idle()) {
        now += 20;
        CHECK(scavenge(now).steps > 0);
    }
}

/* ---- draining ---- */

/* Their pages have class 0 until they are used again, when nothing else is left, or empty. */
TEST_IN_CHILD(sparse_spans_drain) {
    static void *again[SPANS * IN_PAGE];
    (void)unused;
    make_sparse(SPANS, 1);
    CHECK(count_draining(SPANS) == 0);
    CHECK(sparse_is(0, size_class(CLASS_SIZE)));
    sparse_drain(size_class(CLASS_SIZE));
    CHECK(!sparse_is(0, size_class(CLASS_SIZE)));
    unsigned draining = count_draining(SPANS), others = SPANS - 1 - draining;
    CHECK(draining >= SPANS / 2 && others >= 8);
    check_contents(SPANS, 1);
    take(again, others * (IN_PAGE - 1));
    CHECK(count_draining(SPANS) == draining);
    take(again, 1);
    CHECK(count_draining(SPANS) == draining - 1);
    check_contents(SPANS, 1);
    for (unsigned i = 0; i < (SPANS - 1) * IN_PAGE; i += IN_PAGE) {
        give(&objects[i]);
        CHECK(mcentral_is_valid(size_class(CLASS_SIZE)));
    }
    mcentral_trim(0, size_class(CLASS_SIZE), SIZE_MAX);
    CHECK(mcentral_get_stats(size_class(CLASS_SIZE)).span_count == 1 + others + 1);
    CHECK(mheap_get_stats().in_use == (1 + others + 1) * PAGE_SIZE);
}

/* Where eight ninths of the pages would not do, or there are few of them, nothing happens. */
TEST_IN_CHILD(dense_spans_do_not_drain) {
    (void)unused;
    make_sparse(SPANS, IN_PAGE / 16 * 15);
    CHECK(!sparse_is(0, size_class(CLASS_SIZE)));
    sparse_drain(size_class(CLASS_SIZE));
    CHECK(count_draining(SPANS) == 0);
}

TEST_IN_CHILD(few_spans_do_not_drain) {
    (void)unused;
    make_sparse(15, 1);
    CHECK(!sparse_is(0, size_class(CLASS_SIZE)));
    sparse_drain(size_class(CLASS_SIZE));
    CHECK(count_draining(15) == 0);
}

/* Returns how many of the spans drain; each has kept its first `left` objects. */
static unsigned make_draining(unsigned spans, unsigned left) {
    make_sparse(spans, left);
    sparse_drain(size_class(CLASS_SIZE));
    unsigned draining = count_draining(spans);
    CHECK(draining >= spans / 2 && count_resident(spans, IN_HALF) == spans);
    return draining;
}

/* The second half of a span goes back with the first object that comes back from it; the first half,
 * where two are left, stays. */
TEST_IN_CHILD(what_drains_goes_back_by_pages) {
    (void)unused;
    skip_where_pages_are_large();
    __libc_single_threaded = true; /* a sanitizer's thread does not count */
    unsigned draining = make_draining(SPANS, 3);
    for (unsigned i = 0; i < SPANS - 1; i++) {
        give(&objects[i * IN_PAGE + 2]);
    }
    CHECK(count_resident(SPANS, IN_HALF) == SPANS - draining);
    CHECK(count_resident(SPANS, 0) == SPANS);
    check_contents(SPANS, 2);
}

/* Nothing comes back from them. */
TEST_IN_CHILD(what_drains_goes_back_when_idle) {
    (void)unused;
    skip_where_pages_are_large();
    unsigned draining = make_draining(SPANS, 2);
    CHECK(!sparse_is(0, size_class(CLASS_SIZE)));
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) == SPANS);
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) <= SPANS - draining);
    check_contents(SPANS, 2);
}

static void drain_in_vain(unsigned spans) {
    make_draining(spans, 2);
    for (unsigned i = 0; i < spans - 1; i++) {
        give(&objects[i * IN_PAGE + 1]);
    }
    CHECK(count_resident(spans, IN_HALF) == spans);
}

/* Not where there is so little of it. */
TEST_IN_CHILD(pages_of_small_classes_stay) {
    (void)unused;
    skip_where_pages_are_large();
    __libc_single_threaded = true;
    drain_in_vain(100);
}

/* Nor where the call would interrupt other threads. */
TEST_IN_CHILD(pages_stay_with_threads) {
    (void)unused;
    skip_where_pages_are_large();
    __libc_single_threaded = false;
    drain_in_vain(SPANS);
}

/* Objects of 10 KiB: two of four in a span of ten pages of the system. What lies between those in
 * use goes back but for the pages that they have a part of. */
TEST_IN_CHILD(pages_between_objects_go_back) {
    enum { OBJECTS = 4 * SPANS, SIZE = 10240 };
    static void *all[OBJECTS];
    unsigned class = size_class(SIZE);
    (void)unused;
    skip_where_pages_are_large();
    CHECK(class_to_size[class] == SIZE);
    for (unsigned i = 0; i < OBJECTS; i++) {
        CHECK(mcentral_take(0, class, &all[i] + 1, 1) == 1);
        fill(all[i], SIZE, i);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (i % 4 == 1 || i % 4 == 2) {
            mcentral_give(class, &all[i], 1, "free");
        }
    }
    CHECK(resident_pages(all[0], 4 * SIZE) == 10);
    CHECK(sparse_punch_all() == (size_t)SPANS * 4 * HALF);
    CHECK(span_hole_bytes() == (size_t)SPANS * 4 * HALF);
    CHECK(sparse_punch_all() == 0); /* they are gone already */
    for (unsigned i = 0; i < OBJECTS; i += 4) {
        CHECK(resident_pages(all[i], 4 * SIZE) == 6);
        CHECK(is_filled(all[i], SIZE, i) && is_filled(all[i + 3], SIZE, i + 3));
    }
    CHECK(mcentral_take(0, class, &all[1] + 1, 1) == 1);
    fill(all[1], SIZE, 1);
    CHECK(sparse_punch_all() == 0);
    CHECK(span_hole_bytes() == (size_t)SPANS * 4 * HALF - 2 * HALF);
    mcentral_give(class, &all[1], 1, "free");
    CHECK(sparse_punch_all() == 2 * HALF);
    CHECK(mcentral_is_valid(class) && mheap_is_valid());
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (i % 4 == 0 || i % 4 == 3) {
            mcentral_give(class, &all[i], 1, "free");
        }
    }
    mcentral_trim(0, class, SIZE_MAX);
    CHECK(mheap_get_stats().in_use == 0 && span_hole_bytes() == 0);
}

/* ---- all, and what is idle ---- */

/* Full and empty spans as well: nothing that is in use changes, and all of it can be used again. */
TEST_IN_CHILD(all_free_pages_go_back) {
    static void *again[SPANS * IN_PAGE];
    (void)unused;
    skip_where_pages_are_large();
    make_sparse(SPANS, IN_HALF);
    CHECK(!sparse_is(1, size_class(CLASS_SIZE)));
    CHECK(sparse_punch_all() == (SPANS - 1) * HALF);
    CHECK(count_resident(SPANS, IN_HALF) == 1 && count_resident(SPANS, 0) == SPANS);
    check_contents(SPANS, IN_HALF);
    take(again, (SPANS - 1) * IN_HALF);
    for (unsigned i = 0; i < (SPANS - 1) * IN_HALF; i++) {
        CHECK(is_zero(again[i], CLASS_SIZE));
        fill(again[i], CLASS_SIZE, i);
    }
    CHECK(sparse_punch_all() == 0);
    check_contents(SPANS, IN_HALF);
}

/* Seen free for the first time, and then for the second; what was taken in between stays. */
TEST_IN_CHILD(idle_pages_go_back) {
    static void *again[IN_HALF];
    (void)unused;
    skip_where_pages_are_large();
    make_sparse(SPANS, IN_HALF);
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) == SPANS);
    take(again, IN_HALF / 2); /* of one span */
    give(&again[0]);
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) == 2);
    CHECK(count_resident(SPANS, 0) == SPANS);
    check_contents(SPANS, IN_HALF);
    for (unsigned i = 1; i < IN_HALF / 2; i++) {
        give(&again[i]);
    }
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) == 2);
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) == 1);
    check_contents(SPANS, IN_HALF);
}

/* Once for each period, and nothing that is not sparse. */
TEST_IN_CHILD(dense_spans_are_left_alone) {
    (void)unused;
    skip_where_pages_are_large();
    make_sparse(SPANS, IN_PAGE / 8 * 7);
    for (int i = 0; i < 3; i++) {
        let_a_period_pass();
        CHECK(!sparse_punch_idle());
    }
    CHECK(count_resident(SPANS, IN_HALF) == SPANS);
}

/* Where the contents of free objects are verified, they stay. */
TEST_IN_CHILD(checked_contents_stay) {
    (void)unused;
    make_sparse(SPANS, 2);
    options.check = CHECK_CONTENTS;
    sparse_drain(size_class(CLASS_SIZE));
    CHECK(count_draining(SPANS) > 0 && sparse_punch_all() == 0);
    let_a_period_pass();
    let_a_period_pass();
    CHECK(count_resident(SPANS, IN_HALF) == SPANS);
}

/* Some hundred objects of a size, all freed again, then of another: their spans go to the heap, and
 * its pages to others. */
static void come_and_go(unsigned index) {
    static _Thread_local void *mine[200];
    for (unsigned round = 0; round < 2000; round++) {
        unsigned class = size_class(128u << (round + index) % 5), size = class_to_size[class];
        for (unsigned i = 0; i < COUNT_OF(mine); i++) {
            CHECK(mcentral_take(0, class, &mine[i] + 1, 1) == 1);
            fill(mine[i], size, index + i);
        }
        for (unsigned i = 0; i < COUNT_OF(mine); i++) {
            CHECK(is_filled(mine[i], size, index + i));
            mcentral_give(class, &mine[i], 1, "free");
        }
        mcentral_trim(0, class, SIZE_MAX);
    }
}

static void come_and_go_or_punch(unsigned index) {
    if (index > 0) {
        come_and_go(index);
        atomic_fetch_add(&finished, 1);
    }
    while (index == 0 && atomic_load(&finished) < THREADS - 1) {
        sparse_punch_all();
    }
}

/* A span that is on its way to the heap, or from there, must be left alone. */
TEST_IN_CHILD(threads_keep_their_objects) {
    (void)unused;
    run_threads(THREADS, come_and_go_or_punch);
    CHECK(mheap_is_valid());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_spans_drain),
        cmocka_unit_test(dense_spans_do_not_drain),
        cmocka_unit_test(few_spans_do_not_drain),
        cmocka_unit_test(what_drains_goes_back_by_pages),
        cmocka_unit_test(what_drains_goes_back_when_idle),
        cmocka_unit_test(pages_of_small_classes_stay),
        cmocka_unit_test(pages_stay_with_threads),
        cmocka_unit_test(pages_between_objects_go_back),
        cmocka_unit_test(all_free_pages_go_back),
        cmocka_unit_test(idle_pages_go_back),
        cmocka_unit_test(dense_spans_are_left_alone),
        cmocka_unit_test(checked_contents_stay),
        cmocka_unit_test(threads_keep_their_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
