/* Spans of a class: the order in which objects are handed out, when spans come and go,
 * and the two misuses that are found here. Each test has a heap of its own. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "mcentral.h"
#include "mheap.h"

enum { THREADS = 4, ROUNDS = 20000, BATCH = 8, KEPT = 40, OBJECTS_OF_1024 = 8 };

#define CLASS(bytes) size_class(bytes)

/* Fills objects[0 .. n) in the order of mcentral_take: the lowest address last. */
static void take(unsigned class, void **objects, unsigned n) {
    unsigned got = 0;
    while (got < n) {
        unsigned want = n - got < MCENTRAL_MOST ? n - got : MCENTRAL_MOST;
        unsigned more = mcentral_take(0, class, objects + n - got, want);
        CHECK(more > 0 && more <= want);
        got += more;
    }
}

static void give_one_by_one(unsigned class, void *const *objects, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        mcentral_give(class, &objects[i], 1, "free");
    }
}

static struct span *span_of(void *object) {
    return arena_span((uintptr_t)object);
}

/* After it the C library knows of several threads. */
static void idle_thread(unsigned index) {
    (void)index;
}

static void check_empty(unsigned class) {
    mcentral_trim_all();
    struct mcentral_stats stats = mcentral_get_stats(class);
    CHECK(stats.out == 0 && stats.spans == 0 && stats.span_count == 0);
    CHECK(mcentral_is_valid(class));
    CHECK(mheap_get_stats().in_use == 0);
}

TEST_IN_CHILD(ascending_addresses) {
    void *objects[40];
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        unsigned n = mcentral_take(0, class, objects + 40, 40);
        CHECK(n > 0 && n <= 40);
        for (unsigned i = 1; i < n; i++) {
            char *lower = objects[40 - i], *higher = objects[40 - i - 1];
            CHECK(higher == lower + class_to_size[class]);
        }
        struct mcentral_stats stats = mcentral_get_stats(class);
        size_t size = class_to_size[class], all = span_of(objects[39])->objects * size;
        CHECK(stats.out == n * size && stats.objects == stats.span_count * all);
        mcentral_give(class, objects + 40 - n, n, "free");
        CHECK(mcentral_is_valid(class));
        check_empty(class);
    }
}

TEST_IN_CHILD(given_objects_are_taken_again) {
    void *objects[20], *given[3], *again[3];
    (void)unused;
    take(CLASS(64), objects, 20);
    memcpy(given, (void *[]){objects[3], objects[11], objects[17]}, sizeof given);
    mcentral_give(CLASS(64), given, 3, "free");
    take(CLASS(64), again, 3);
    CHECK(memcmp(again, given, sizeof given) == 0);
}

/* Of three spans with 6, 1 and 4 free objects, the one with 1 is used first, that with 6 last. */
TEST_IN_CHILD(fullest_span_first) {
    void *a[OBJECTS_OF_1024], *b[OBJECTS_OF_1024], *c[OBJECTS_OF_1024], *object;
    unsigned class = CLASS(1024);
    (void)unused;
    take(class, a, OBJECTS_OF_1024);
    take(class, b, OBJECTS_OF_1024);
    take(class, c, OBJECTS_OF_1024);
    mcentral_give(class, a, 6, "free");
    mcentral_give(class, b, 1, "free");
    mcentral_give(class, c, 4, "free");
    for (unsigned i = 0; i < 11; i++) {
        take(class, &object, 1);
        CHECK(span_of(object) == span_of(i < 1 ? b[7] : i < 5 ? c[7] : a[7]));
        CHECK(mcentral_is_valid(class));
    }
    CHECK(mcentral_get_stats(class).span_count == 3);
}

/* With one thread an empty span stays if there is no other to take from; the next goes back at
 * once. */
TEST_IN_CHILD(empty_spans_go_back) {
    void *a[OBJECTS_OF_1024], *b[OBJECTS_OF_1024];
    unsigned class = CLASS(1024);
    (void)unused;
    take(class, a, OBJECTS_OF_1024);
    take(class, b, OBJECTS_OF_1024);
    CHECK(mheap_get_stats().in_use == 2 * PAGE_SIZE);
    mcentral_give(class, a, OBJECTS_OF_1024, "free");
    CHECK(mheap_get_stats().in_use == 2 * PAGE_SIZE);
    mcentral_give(class, b, OBJECTS_OF_1024, "free");
    CHECK(mheap_get_stats().in_use == PAGE_SIZE);
    CHECK(mcentral_get_stats(class).span_count == 1 && mcentral_is_valid(class));
    CHECK(span_of(a[0]) != NULL && span_of(b[0]) == NULL);
    mcentral_trim(0, class, SIZE_MAX);
    CHECK(mheap_get_stats().in_use == 0);
    check_empty(class);
}

/* Fills and empties `spans` spans of 64-byte objects, which are all of one page. */
static void leave_empty(unsigned shard, unsigned spans) {
    static void *objects[600 * (PAGE_SIZE / 64)];
    unsigned class = CLASS(64), n = spans * (unsigned)(PAGE_SIZE / 64);
    CHECK(n <= COUNT_OF(objects));
    for (unsigned i = 0; i < n; i++) {
        CHECK(mcentral_take(shard, class, &objects[i] + 1, 1) == 1);
    }
    for (unsigned i = 0; i < n; i++) {
        mcentral_give(class, &objects[i], 1, "free");
    }
    CHECK(mcentral_is_valid(class));
}

/* With several, they stay; but no fresh page is used while there are any, of whatever class and
 * shard. */
TEST_IN_CHILD(empty_spans_wait_for_others) {
    void *objects[300];
    (void)unused;
    run_threads(1, idle_thread);
    leave_empty(1, 100);
    size_t before = mheap_get_stats().in_use;
    CHECK(before >= 100 * PAGE_SIZE && before < 108 * PAGE_SIZE);
    for (unsigned i = 0; i < COUNT_OF(objects); i++) {
        CHECK(mcentral_take(i % 2, CLASS(2048), &objects[i] + 1, 1) == 1);
        struct mheap_stats stats = mheap_get_stats();
        CHECK(stats.in_use + stats.free_dirty == before);
    }
    CHECK(mcentral_get_stats(CLASS(64)).span_count < 100);
    for (unsigned i = 0; i < COUNT_OF(objects); i++) {
        mcentral_give(CLASS(2048), &objects[i], 1, "free");
    }
    check_empty(CLASS(2048));
}

/* So do those of objects above 1 KiB with one thread. */
TEST_IN_CHILD(empty_spans_of_few_objects_stay) {
    static const size_t sizes[] = {2000, 4000, 20000, 32768};
    void *objects[100];
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned class = CLASS(sizes[i]);
        take(class, objects, COUNT_OF(objects));
        size_t spans = mcentral_get_stats(class).span_count;
        for (unsigned round = 0; round < 3; round++) {
            give_one_by_one(class, objects, COUNT_OF(objects));
            CHECK(mcentral_get_stats(class).span_count == spans && mcentral_is_valid(class));
            take(class, objects, COUNT_OF(objects));
            CHECK(mcentral_get_stats(class).span_count == spans);
        }
        give_one_by_one(class, objects, COUNT_OF(objects));
        mcentral_reclaim(SIZE_MAX);
        CHECK(mcentral_get_stats(class).span_count <= 8);
        check_empty(class);
    }
}

TEST_IN_CHILD(few_empty_spans_stay) {
    (void)unused;
    run_threads(1, idle_thread);
    leave_empty(0, 600);
    size_t pages = mheap_get_stats().in_use / PAGE_SIZE;
    CHECK(pages > 512 - 8 && pages <= 512);
    mcentral_reclaim(100);
    CHECK(mheap_get_stats().in_use == (pages - 100) * PAGE_SIZE);
    mcentral_reclaim(SIZE_MAX);
    CHECK(mheap_get_stats().in_use == 8 * PAGE_SIZE);
    mcentral_reclaim(SIZE_MAX);
    CHECK(mheap_get_stats().in_use == PAGE_SIZE); /* the last stays */
    check_empty(CLASS(64));
}

/* No call gives back more than a call may, and what is left is for the next ones. */
TEST_IN_CHILD(rounds_are_of_several_calls) {
    enum { SPANS = 200, AT_ONCE = MCENTRAL_TRIM_MOST, CLASSES = 4 };
    static const size_t sizes[CLASSES] = {256, 512, 1024, 2048};
    static void *objects[CLASSES][SPANS * (PAGE_SIZE / 256)];
    (void)unused;
    run_threads(1, idle_thread);
    for (unsigned i = 0; i < CLASSES; i++) {
        take(CLASS(sizes[i]), objects[i], SPANS * (unsigned)(PAGE_SIZE / sizes[i]));
    }
    for (unsigned i = 0; i < CLASSES; i++) {
        give_one_by_one(CLASS(sizes[i]), objects[i], SPANS * (unsigned)(PAGE_SIZE / sizes[i]));
    }
    size_t left = mheap_get_stats().in_use / PAGE_SIZE;
    CHECK(left >= (size_t)SPANS * CLASSES);
    CHECK(!mcentral_trim_some()); /* none is under way */
    CHECK(mheap_get_stats().in_use / PAGE_SIZE == left);
    mcentral_begin_trim();
    for (bool more = true; more;) {
        more = mcentral_trim_some();
        size_t now = mheap_get_stats().in_use / PAGE_SIZE;
        CHECK(left - now <= AT_ONCE && (left - now == AT_ONCE || !more));
        left = now;
        if (more) {
            mcentral_begin_trim(); /* does nothing */
        }
    }
    CHECK(left == 0);
    check_empty(CLASS(64));
}

/* A thread of another shard is not given the span of the first, unless it is half empty. */
TEST_IN_CHILD(spans_move_between_shards) {
    void *a[OBJECTS_OF_1024], *object;
    unsigned class = CLASS(1024);
    (void)unused;
    take(class, a, OBJECTS_OF_1024);
    mcentral_give(class, a, 3, "free");
    CHECK(mcentral_take(1, class, &object + 1, 1) == 1);
    CHECK(span_of(object) != span_of(a[7]) && span_of(object)->shard == 1);
    mcentral_give(class, a + 3, 1, "free");
    CHECK(mcentral_take(2, class, &object + 1, 1) == 1);
    CHECK(span_of(object) == span_of(a[7]) && span_of(object)->shard == 2);
    CHECK(mcentral_get_stats(class).out == 6 * 1024 && mcentral_get_stats(class).span_count == 2);
    CHECK(mcentral_is_valid(class));
}

/* A shard whose first span was another's counts as one that has had a span. */
TEST_IN_CHILD(shards_that_only_take_over_count) {
    void *a[OBJECTS_OF_1024], *object;
    unsigned class = CLASS(1024);
    (void)unused;
    take(class, a, OBJECTS_OF_1024);
    mcentral_give(class, a, 4, "free");
    CHECK(mcentral_shards() == 1 && mcentral_take(1, class, &object + 1, 1) == 1);
    CHECK(span_of(object) == span_of(a[7]) && mcentral_shards() == 2);
    mcentral_give(class, a + 4, 4, "free");
    mcentral_give(class, &object, 1, "free");
    check_empty(class);
}

/* Objects of several shards, freed together, each go to their own. */
TEST_IN_CHILD(objects_return_to_their_shards) {
    void *objects[6];
    unsigned class = CLASS(1024);
    (void)unused;
    for (unsigned i = 0; i < COUNT_OF(objects); i++) {
        CHECK(mcentral_take(i % 3, class, &objects[i] + 1, 1) == 1);
        CHECK(span_of(objects[i])->shard == i % 3);
    }
    mcentral_give(class, objects, COUNT_OF(objects), "free");
    check_empty(class);
}

/* ---- steps ---- */

/* The more a class has, the more spans it gets at once: at most a sixteenth of what it has. */
TEST_IN_CHILD(spans_come_in_steps) {
    enum { SPANS = 200 };
    static void *objects[SPANS * OBJECTS_OF_1024];
    unsigned class = CLASS(1024);
    size_t most = 0;
    (void)unused;
    for (unsigned used = 1; used <= SPANS; used++) {
        take(class, &objects[(used - 1) * OBJECTS_OF_1024], OBJECTS_OF_1024);
        size_t spans = mcentral_get_stats(class).span_count;
        CHECK(spans >= used && spans - used <= used / 16 && spans - used < 8);
        CHECK(mheap_get_stats().in_use == spans * PAGE_SIZE);
        most = spans - used > most ? spans - used : most;
    }
    CHECK(most == 7 && mcentral_is_valid(class));
    give_one_by_one(class, objects, COUNT_OF(objects));
    check_empty(class);
}

/* One object in ten spans lives on: the other spans go back, but for a sixteenth of what stays. */
TEST_IN_CHILD(few_objects_keep_few_spans) {
    enum { SPANS = 400, LIVING = SPANS / 10 };
    static void *objects[SPANS * OBJECTS_OF_1024];
    unsigned class = CLASS(1024);
    (void)unused;
    take(class, objects, COUNT_OF(objects));
    for (unsigned i = 0; i < COUNT_OF(objects); i++) {
        if (i % (10 * OBJECTS_OF_1024) != 0) {
            mcentral_give(class, &objects[i], 1, "free");
        }
    }
    size_t spans = mcentral_get_stats(class).span_count;
    CHECK(spans >= LIVING && spans <= LIVING + LIVING / 10);
    CHECK(mheap_get_stats().in_use == spans * PAGE_SIZE && mcentral_is_valid(class));
    mcentral_trim(0, class, SIZE_MAX);
    CHECK(mcentral_get_stats(class).span_count == LIVING && mcentral_is_valid(class));
}

/* ---- misuse, each with a class of its own ---- */

struct misuse {
    unsigned class;
    unsigned n;
    void *objects[6];
    const void *spoiled; /* what the message is about */
};

static void give(const void *argument) {
    const struct misuse *misuse = argument;
    mcentral_give(misuse->class, misuse->objects, misuse->n, "realloc");
}

/* Gives them all, and the first once more. */
static void give_twice(const void *argument) {
    const struct misuse *misuse = argument;
    give(misuse);
    mcentral_give(misuse->class, misuse->objects, 1, "realloc");
}

static void must_abort(void (*body)(const void *), const struct misuse *misuse, const char *cause) {
    char text[256];
    snprintf(text, sizeof text, "goalloc: realloc(%p): %s\n", misuse->spoiled, cause);
    assert_child_aborts(body, misuse, text);
}

static void double_free(void **state) {
    static const char cause[] = "double free of a 1024-byte object";
    void *o[OBJECTS_OF_1024];
    unsigned class = CLASS(1024);
    (void)state;
    take(class, o, OBJECTS_OF_1024);
    must_abort(give_twice, &(struct misuse){class, 2, {o[0], o[5]}, o[0]}, cause);
    must_abort(give, &(struct misuse){class, 3, {o[0], o[2], o[0]}, o[0]}, cause);
    must_abort(give, &(struct misuse){class, 2, {o[4], o[4]}, o[4]}, cause);
}

/* The first free emptied the span, and its class had another. */
static void double_free_after_the_span(void **state) {
    void *a[4], *b[4];
    unsigned class = CLASS(2048);
    (void)state;
    take(class, a, 4);
    take(class, b, 4);
    mcentral_give(class, a, 4, "free");
    mcentral_give(class, b, 4, "free");
    assert_null(span_of(b[2]));
    must_abort(give, &(struct misuse){class, 1, {b[2]}, b[2]}, "double free of a 2048-byte object");
}

static void pointer_into_an_object(void **state) {
    char cause[128];
    void *object;
    unsigned class = CLASS(512);
    (void)state;
    take(class, &object, 1);
    snprintf(cause, sizeof cause, "pointer into the middle of a 512-byte object that starts at %p",
             object);
    for (size_t offset = 1; offset < 512; offset += 170) {
        char *inside = (char *)object + offset;
        must_abort(give, &(struct misuse){class, 1, {inside}, inside}, cause);
    }
}

/* It looks like the neighbour of the objects that are freed with it. */
static void pointer_behind_the_last_object(void **state) {
    char cause[128];
    char *o[11];
    unsigned class = CLASS(1408);
    (void)state;
    take(class, (void **)o, COUNT_OF(o));
    char *first = (char *)span_of(o[0])->base, *tail = first + 11 * 1408;
    assert_int_equal(span_of(first)->objects, COUNT_OF(o));
    snprintf(cause, sizeof cause, "pointer into the middle of a 1408-byte object that starts at %p",
             (void *)tail);
    struct misuse misuse = {class, 6, {tail}, tail};
    for (unsigned i = 1; i < misuse.n; i++) {
        misuse.objects[i] = tail - (size_t)i * 1408;
    }
    must_abort(give, &misuse, cause);
}

/* ---- threads ---- */

static const unsigned sizes[] = {8, 64, 1024, 20480, 32768};

static void give_back(unsigned size, void **objects, unsigned n, unsigned seed) {
    for (unsigned i = 0; i < n; i++) {
        CHECK(is_filled(objects[i], size, seed));
    }
    mcentral_give(CLASS(size), objects, n, "free");
}

static void take_and_give(unsigned index) {
    static _Thread_local void *kept[KEPT][BATCH];
    unsigned counts[KEPT] = {0};
    uint64_t seed = index + 1;
    for (unsigned i = 0; i < ROUNDS + KEPT; i++) {
        bool at_end = i >= ROUNDS;
        unsigned at = at_end ? i - ROUNDS : (unsigned)random_below(&seed, KEPT);
        unsigned size = sizes[at % COUNT_OF(sizes)];
        if (counts[at] > 0) {
            give_back(size, kept[at] + BATCH - counts[at], counts[at], index);
            counts[at] = 0;
        } else if (!at_end) {
            unsigned want = 1 + (unsigned)random_below(&seed, BATCH);
            counts[at] = mcentral_take(0, CLASS(size), kept[at] + BATCH, want);
            CHECK(counts[at] > 0 && counts[at] <= want);
            for (unsigned k = BATCH - counts[at]; k < BATCH; k++) {
                fill(kept[at][k], size, index);
            }
        }
        CHECK(i % 1000 != 0 || mcentral_is_valid(CLASS(size)));
    }
}

TEST_IN_CHILD(many_threads) {
    (void)unused;
    run_threads(THREADS, take_and_give);
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        CHECK(mcentral_is_valid(class));
        CHECK(mcentral_get_stats(class).out == 0);
    }
    check_empty(CLASS(64));
    CHECK(mheap_is_valid());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascending_addresses),
        cmocka_unit_test(given_objects_are_taken_again),
        cmocka_unit_test(fullest_span_first),
        cmocka_unit_test(empty_spans_go_back),
        cmocka_unit_test(empty_spans_wait_for_others),
        cmocka_unit_test(empty_spans_of_few_objects_stay),
        cmocka_unit_test(few_empty_spans_stay),
        cmocka_unit_test(rounds_are_of_several_calls),
        cmocka_unit_test(spans_move_between_shards),
        cmocka_unit_test(shards_that_only_take_over_count),
        cmocka_unit_test(objects_return_to_their_shards),
        cmocka_unit_test(spans_come_in_steps),
        cmocka_unit_test(few_objects_keep_few_spans),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(double_free),
        cmocka_unit_test(double_free_after_the_span),
        cmocka_unit_test(pointer_into_an_object),
        cmocka_unit_test(pointer_behind_the_last_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
