/* Sets of spans: the fullest, the emptiest, the walk from one to the other, and what is invalid. */
#include "support.h"

#include "spanset.h"

#define BASE ((uintptr_t)0xc000000000)

enum { OBJECTS = 8, SPANS = 40, ROUNDS = 20000 };

/* Of 1024 bytes, with so many of 8 objects free. */
static struct span *make(unsigned free) {
    struct span *span = span_create(BASE, 1, size_class(1024));
    void *objects[OBJECTS];
    assert_non_null(span);
    assert_int_equal(span->objects, OBJECTS);
    span_take(span, objects + OBJECTS, OBJECTS - free, false);
    assert_int_equal(span->free, free);
    return span;
}

static struct span *make_in(struct spanset *set, unsigned free) {
    struct span *span = make(free);
    spanset_add(set, span, span_bucket(span));
    return span;
}

static void drain(struct spanset *set) {
    for (struct span *span; (span = spanset_fullest(set)) != NULL;) {
        spanset_remove(set, span);
        span_destroy(span);
    }
    assert_true(spanset_is_valid(set) && spanset_is_empty(set));
}

static void no_spans(void **state) {
    struct spanset set = {0};
    (void)state;
    assert_true(spanset_is_empty(&set));
    assert_null(spanset_fullest(&set));
    assert_null(spanset_next(&set, NULL));
    assert_false(spanset_has_half_empty(&set));
    assert_int_equal(spanset_guess_empty(&set), 0);
    assert_true(spanset_is_valid(&set));
}

static void add_and_remove(void **state) {
    struct spanset set = {0};
    struct span *span = make(3);
    (void)state;
    spanset_remove(&set, span); /* it is in none */
    assert_true(spanset_is_empty(&set));
    spanset_add(&set, span, span_bucket(span));
    assert_false(spanset_is_empty(&set));
    assert_int_equal(span->bucket, span_bucket(span));
    assert_true(spanset_is_valid(&set));
    spanset_remove(&set, span);
    assert_int_equal(span->bucket, SPAN_UNLISTED);
    assert_true(spanset_is_empty(&set) && spanset_is_valid(&set));
    span_destroy(span);
}

static void fullest_and_emptiest(void **state) {
    static const unsigned frees[] = {5, 2, 7, 2, 1};
    struct spanset set = {0};
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(frees); i++) {
        make_in(&set, frees[i]);
    }
    assert_int_equal(spanset_fullest(&set)->free, 1);
    assert_int_equal(spanset_emptiest(&set, SPANSET_DRAINING)->free, 7);
    assert_int_equal(spanset_emptiest(&set, SPAN_BUCKETS - 1)->free, 5);
    spanset_remove(&set, spanset_fullest(&set));
    assert_null(spanset_emptiest(&set, 1));
    assert_int_equal(spanset_fullest(&set)->free, 2);
    spanset_remove(&set, spanset_fullest(&set));
    assert_int_equal(spanset_fullest(&set)->free, 2);
    spanset_remove(&set, spanset_fullest(&set));
    spanset_remove(&set, spanset_emptiest(&set, SPANSET_DRAINING));
    assert_int_equal(spanset_fullest(&set)->free, 5);
    assert_int_equal(spanset_emptiest(&set, SPANSET_DRAINING)->free, 5);
    drain(&set);
}

static void half_empty(void **state) {
    struct spanset set = {0};
    struct span *span;
    (void)state;
    make_in(&set, 1);
    make_in(&set, 3);
    assert_false(spanset_has_half_empty(&set));
    span = make_in(&set, 4);
    assert_true(spanset_has_half_empty(&set));
    assert_ptr_equal(spanset_emptiest(&set, SPANSET_DRAINING), span);
    drain(&set);
}

/* Only spans whose objects are all free count as empty. */
static void empty_pages(void **state) {
    struct spanset set = {0};
    struct span *first, *second;
    (void)state;
    make_in(&set, OBJECTS - 1);
    assert_int_equal(set.empty_pages, 0);
    first = make_in(&set, OBJECTS);
    second = span_create(BASE, 3, size_class(3072));
    spanset_add(&set, second, SPANSET_EMPTY);
    assert_int_equal(set.empty_pages, 4);
    assert_int_equal(spanset_emptiest(&set, SPANSET_DRAINING)->bucket, SPANSET_EMPTY);
    spanset_remove(&set, first);
    assert_int_equal(spanset_guess_empty(&set), 3);
    spanset_remove(&set, second);
    assert_int_equal(set.empty_pages, 0);
    assert_int_equal(spanset_emptiest(&set, SPANSET_DRAINING)->free, OBJECTS - 1);
    span_destroy(first);
    span_destroy(second);
    drain(&set);
}

/* It is used after the empty ones, is nothing for others, and stays until it is empty. */
static void draining(void **state) {
    struct spanset set = {0};
    struct span *span = make(5), *empty = make_in(&set, OBJECTS);
    void *object;
    (void)state;
    span_take(span, &object + 1, 1, false);
    spanset_add(&set, span, SPANSET_DRAINING);
    assert_int_equal(set.draining_pages, 1);
    assert_true(spanset_is_valid(&set));
    assert_ptr_equal(spanset_fullest(&set), empty);
    spanset_remove(&set, empty);
    assert_ptr_equal(spanset_fullest(&set), span);
    assert_null(spanset_emptiest(&set, SPANSET_DRAINING));
    assert_false(spanset_has_half_empty(&set));
    assert_true(span_give(span, (uintptr_t)object));
    assert_int_equal(spanset_bucket(span), SPANSET_DRAINING);
    spanset_remove(&set, span);
    assert_int_equal(set.draining_pages, 0);
    assert_int_equal(spanset_bucket(span), 2);
    spanset_add(&set, span, span_bucket(span));
    assert_int_equal(span->bucket, 2);
    span_destroy(empty);
    drain(&set);
}

/* Each span once, and none that is fuller than the one before by a bucket. */
static void check_walk(const struct spanset *set, unsigned spans) {
    unsigned seen = 0, bucket = 0;
    for (struct span *span = NULL; (span = spanset_next(set, span)) != NULL; seen++) {
        assert_true(span_bucket(span) >= bucket);
        bucket = span_bucket(span);
    }
    assert_int_equal(seen, spans);
}

/* Spans whose free objects change are removed from any place, and added again. */
static void many_spans(void **state) {
    struct spanset set = {0};
    struct span *spans[SPANS] = {0};
    unsigned count = 0;
    uint64_t seed = 1;
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)random_below(&seed, SPANS);
        if (spans[at] != NULL) {
            spanset_remove(&set, spans[at]);
            span_destroy(spans[at]);
            spans[at] = NULL;
            count--;
        } else {
            spans[at] = make_in(&set, 1 + (unsigned)random_below(&seed, OBJECTS));
            count++;
        }
        assert_true(spanset_is_valid(&set));
        check_walk(&set, count);
    }
    drain(&set);
}

static void invalid_is_seen(void **state) {
    struct spanset set = {0};
    struct span *span = make_in(&set, 3), *empty = make_in(&set, OBJECTS);
    void *object;
    (void)state;
    set.empty_pages++;
    assert_false(spanset_is_valid(&set));
    set.empty_pages--;
    set.listed |= 1;
    assert_false(spanset_is_valid(&set));
    set.listed &= ~1u;
    span->bucket++;
    assert_false(spanset_is_valid(&set));
    span->bucket--;
    span->prev = empty;
    assert_false(spanset_is_valid(&set));
    span->prev = NULL;
    assert_true(spanset_is_valid(&set));
    span_take(empty, &object + 1, 1, false); /* and still among the empty ones */
    assert_false(spanset_is_valid(&set));
    assert_true(span_give(empty, (uintptr_t)object));
    drain(&set);
}

/* The next span of a walk may be removed, added again, or the last one. */
static void walks_go_on(void **state) {
    struct spanset set = {0};
    struct span *first = make_in(&set, 1), *second = make_in(&set, 3), *third = make_in(&set, 7);
    (void)state;
    assert_null(spanset_walk(&set)); /* none was begun */
    spanset_begin_walk(&set);
    assert_ptr_equal(spanset_walk(&set), first);
    spanset_remove(&set, first);
    spanset_remove(&set, second);
    spanset_add(&set, second, span_bucket(second));
    assert_ptr_equal(spanset_walk(&set), third);
    assert_null(spanset_walk(&set));
    spanset_begin_walk(&set);
    assert_ptr_equal(spanset_walk(&set), second);
    spanset_remove(&set, third);
    assert_null(spanset_walk(&set));
    span_destroy(first);
    span_destroy(third);
    drain(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spans),
        cmocka_unit_test(add_and_remove),
        cmocka_unit_test(draining),
        cmocka_unit_test(half_empty),
        cmocka_unit_test(fullest_and_emptiest),
        cmocka_unit_test(empty_pages),
        cmocka_unit_test(many_spans),
        cmocka_unit_test(walks_go_on),
        cmocka_unit_test(invalid_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
