/* Span descriptors: bits, counts and indices for every class, and objects taken and given. */
#include "support.h"

#include "span.h"

#define BASE ((uintptr_t)0xc000000000)

static void for_each_span(void (*check)(struct span *span)) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct span *span = span_create(BASE, class_to_pages[class], class);
        assert_non_null(span);
        assert_int_equal(span->pages, class_to_pages[class]);
        assert_int_equal(span->class, class);
        check(span);
        span_destroy(span);
    }
}

static void check_fields(struct span *span) {
    size_t size = class_to_size[span->class];
    assert_int_equal(span->base, BASE);
    assert_int_equal(span->objects, span_bytes(span) / size);
    assert_int_equal(span->free, span->objects);
    assert_int_equal(span->first_word, 0);
    assert_int_equal(span->bucket, SPAN_UNLISTED);
    assert_int_equal(span_block_size(span), size);
    assert_true(is_aligned_to(span, CACHE_LINE));
    assert_true(span_is_valid(span));
}

static void check_bits(struct span *span) {
    assert_int_equal(span_words(span), (span->objects + 63) / 64);
    for (uint32_t i = 0; i < span_words(span) * WORD_BITS; i++) {
        assert_int_equal(span_object_is_free(span, i), i < span->objects);
    }
}

static void check_indices(struct span *span) {
    size_t size = class_to_size[span->class];
    for (uint32_t i = 0; i < span->objects; i++) {
        uintptr_t address = span_object(span, i);
        assert_int_equal(address, BASE + i * size);
        assert_int_equal(span_index(span, address), i);
        assert_int_equal(span_index(span, address + size - 1), i);
        assert_true(span_is_object(span, address));
        assert_false(span_is_object(span, address + 1));
        assert_false(span_is_object(span, address + size - 1));
    }
}

static void check_tail(struct span *span) {
    uintptr_t end = BASE + span_bytes(span);
    for (uintptr_t address = span_object(span, span->objects); address < end; address++) {
        assert_false(span_is_object(span, address));
    }
}

static void fields(void **state) {
    (void)state;
    for_each_span(check_fields);
}

static void bits(void **state) {
    (void)state;
    for_each_span(check_bits);
}

static void indices(void **state) {
    (void)state;
    for_each_span(check_indices);
}

static void tail(void **state) {
    (void)state;
    for_each_span(check_tail);
}

/* All objects are taken in ascending order, and given back one by one, each once. */
static void check_take_and_give(struct span *span) {
    static void *objects[PAGE_SIZE / SIZE_STEP];
    unsigned n = span->objects;
    assert_int_equal(span_take(span, objects + n, n, false), n);
    assert_int_equal(span->free, 0);
    assert_int_equal(span_take(span, objects, 1, false), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(objects[n - 1 - i], span_object(span, i));
        assert_true(span_give(span, (uintptr_t)objects[n - 1 - i]));
        assert_false(span_give(span, (uintptr_t)objects[n - 1 - i]));
        assert_false(span_give(span, (uintptr_t)objects[n - 1 - i] + 1));
    }
    assert_false(span_give(span, span_object(span, n)));
    assert_int_equal(span->free, n);
    assert_true(span_is_valid(span));
}

static void take_and_give(void **state) {
    (void)state;
    for_each_span(check_take_and_give);
}

/* Runs in both directions, across words, and those that are too short or spoiled. */
static void runs(void **state) {
    void *objects[200];
    struct span *span = span_create(BASE, 1, size_class(32));
    (void)state;
    span_take(span, objects + COUNT_OF(objects), COUNT_OF(objects), false);
    assert_int_equal(span_give_run(span, objects, SPAN_RUN_LEAST - 1, 32), 0);
    assert_int_equal(span_give_run(span, objects, WORD_BITS, 32), WORD_BITS);
    assert_int_equal(span_give_run(span, objects, WORD_BITS, 32), 0);
    assert_int_equal(span->free, 256 - 200 + WORD_BITS);
    for (unsigned i = 0; i < 50; i++) {
        objects[i] = (void *)span_object(span, 20 + i);
    }
    objects[40] = objects[0];
    assert_int_equal(span_give_run(span, objects, 50, 32), 40);
    assert_int_equal(span->first_word, 0);
    assert_true(span_is_valid(span));
    span_destroy(span);
}

/* Objects of 32 bytes: four share a pair of cache lines. */
static void few_are_apart(void **state) {
    void *objects[4];
    struct span *span = span_create(BASE, 1, size_class(32));
    (void)state;
    span_take(span, objects + 1, 1, false);
    assert_int_equal(span_take(span, objects + 4, 4, true), 4);
    assert_int_equal(objects[3], span_object(span, 4));
    assert_int_equal(objects[0], span_object(span, 7));
    assert_true(span_is_valid(span));
    span_destroy(span);
}

static const void *looked_for;

static bool is_looked_for(const void *object) {
    return object == looked_for;
}

static void free_objects_are_found(void **state) {
    void *object;
    struct span *span = span_create(BASE, 1, size_class(32));
    (void)state;
    span_take(span, &object + 1, 1, false);
    looked_for = object;
    assert_null(span_find_free(span, is_looked_for));
    looked_for = (void *)span_object(span, 77);
    assert_ptr_equal(span_find_free(span, is_looked_for), looked_for);
    span_destroy(span);
}

static void counts_are_mended(void **state) {
    void *objects[70];
    struct span *span = span_create(BASE, 1, size_class(32));
    (void)state;
    span_take(span, objects + 70, 70, false);
    span->free = 3;
    span->first_word = 2;
    span->holes = span->idle = 3; /* 70 of 128 objects of the first 4 KiB are in use */
    span_recount(span);
    assert_int_equal(span->holes, 2);
    assert_int_equal(span->idle, 2);
    assert_int_equal(span->free, 256 - 70);
    assert_int_equal(span->first_word, 1);
    assert_true(span_is_valid(span));
    span_destroy(span);
}

static void large(void **state) {
    (void)state;
    struct span *span = span_create(BASE, 12345, 0);
    assert_int_equal(span->objects, 0);
    assert_int_equal(span->free, 0);
    assert_int_equal(span_block_size(span), 12345 * PAGE_SIZE);
    assert_true(span_is_valid(span));
    span_destroy(span);
}

/* The word behind the bits of one descriptor is the next descriptor. */
static void descriptors_do_not_overlap(void **state) {
    struct span *spans[CLASS_COUNT];
    (void)state;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        spans[class] = span_create(BASE + class * MIB, class_to_pages[class], class);
    }
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        for (unsigned w = 0; w < span_words(spans[class]); w++) {
            spans[class]->bits[w] = 0;
        }
        spans[class]->free = 0;
    }
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        assert_int_equal(spans[class]->base, BASE + class * MIB);
        assert_true(span_is_valid(spans[class]));
        span_destroy(spans[class]);
    }
}

static void invalid_is_seen(void **state) {
    (void)state;
    struct span *span = span_create(BASE, 1, size_class(16));
    span->free--;
    assert_false(span_is_valid(span));
    span->free++;
    assert_true(span_is_valid(span));
    span->first_word = 1; /* but word 0 has free objects */
    assert_false(span_is_valid(span));
    span->first_word = 0;
    span->bits[3] &= ~UINT64_C(8);
    assert_false(span_is_valid(span));
    span_destroy(span);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),          cmocka_unit_test(bits),
        cmocka_unit_test(indices),         cmocka_unit_test(tail),
        cmocka_unit_test(take_and_give),   cmocka_unit_test(runs),
        cmocka_unit_test(few_are_apart),   cmocka_unit_test(free_objects_are_found),
        cmocka_unit_test(large),           cmocka_unit_test(descriptors_do_not_overlap),
        cmocka_unit_test(invalid_is_seen), cmocka_unit_test(counts_are_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
