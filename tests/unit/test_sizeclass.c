/* The size-class tables as the rest of the heap uses them: every size and every offset. */
#include "support.h"

#include "sizeclass.h"

static void each_size_has_the_smallest_class_that_fits(void **state) {
    (void)state;
    for (size_t size = 0; size <= MAX_SMALL_SIZE; size++) {
        unsigned class = size_class(size);
        assert_true(class >= 1 && class < CLASS_COUNT);
        assert_true(class_to_size[class] >= size);
        assert_true(class == 1 || class_to_size[class - 1] < size);
    }
    assert_int_equal(size_class(0), 1);
    assert_int_equal(class_to_size[CLASS_COUNT - 1], MAX_SMALL_SIZE);
    assert_int_equal(class_to_size[0], 0);
}

static void classes_are_their_own(void **state) {
    (void)state;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        assert_int_equal(size_class(class_to_size[class]), class);
    }
}

/* Any request above 8 bytes is aligned to 16, one up to 8 bytes to 8, in spans that begin at a
 * page. */
static void alignment(void **state) {
    (void)state;
    assert_int_equal(class_to_size[size_class(1)], 8);
    assert_int_equal(class_to_size[size_class(8)], 8);
    assert_int_equal(class_to_size[size_class(9)], 16);
    for (unsigned class = 2; class < CLASS_COUNT; class++) {
        assert_int_equal(class_to_size[class] % 16, 0);
    }
}

/* An aligned request looks for the first class whose size is a multiple: there must be one. */
static void powers_of_two_have_classes(void **state) {
    (void)state;
    for (size_t align = 8; align <= MAX_SMALL_SIZE; align *= 2) {
        assert_int_equal(class_to_size[size_class(align)], align);
    }
}

static void object_index_is_the_quotient(void **state) {
    (void)state;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        size_t size = class_to_size[class], quotient = 0, rest = 0;
        for (size_t offset = 0; offset < MAX_SPAN_BYTES; offset++) {
            struct object_place place = object_place(class_to_magic[class], offset);
            if (place.index != quotient || place.exact != (rest == 0)) {
                fail_msg("class %u, offset %zu", class, offset);
            }
            rest++;
            if (rest == size) {
                rest = 0;
                quotient++;
            }
        }
    }
}

/* Behind the last object of the shortest span lies at most an eighth of it. */
static void tail_waste(void **state) {
    (void)state;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        size_t bytes = class_to_pages[class] * PAGE_SIZE;
        assert_true(bytes >= PAGE_SIZE && bytes <= MAX_SPAN_BYTES);
        assert_true(bytes >= class_to_size[class]);
        assert_true(bytes % class_to_size[class] <= bytes / 8);
    }
}

/* Rounding up costs at most a quarter from 64 bytes on, and an eighth on average. */
static void rounding_waste(void **state) {
    (void)state;
    size_t asked = 0, given = 0;
    for (size_t size = 64; size <= MAX_SMALL_SIZE; size++) {
        size_t rounded = class_to_size[size_class(size)];
        assert_true((rounded - size) * 4 <= rounded);
        asked += size;
        given += rounded;
    }
    assert_true((given - asked) * 8 <= given);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_size_has_the_smallest_class_that_fits),
        cmocka_unit_test(classes_are_their_own),
        cmocka_unit_test(alignment),
        cmocka_unit_test(powers_of_two_have_classes),
        cmocka_unit_test(object_index_is_the_quotient),
        cmocka_unit_test(tail_waste),
        cmocka_unit_test(rounding_waste),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
