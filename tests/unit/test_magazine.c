/* Magazines of all sizes: what is at their ends, where objects go in and out, and that no two of
 * them share memory. */
#include "support.h"

#include "magazine.h"

/* Not objects, but as different as those. */
static void *object(unsigned i) {
    return (void *)(uintptr_t)(16 * (i + 1));
}

static void fill_up(struct magazine *magazine) {
    for (unsigned i = 0; !magazine_is_full(magazine); i++) {
        magazine_push(magazine, object(i));
    }
}

static void check_ends(struct magazine *magazine) {
    void **lowest = magazine_lowest(magazine);
    assert_null(lowest[-1]);
    assert_null(lowest[magazine->capacity]);
}

/* For malloc it is empty, for free it is not full, whatever its memory was used for before. */
static void new_ones_are_between_nulls(void **state) {
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned capacity = 1; capacity <= MAGAZINE_MOST; capacity++) {
            struct magazine *magazine = magazine_create(capacity);
            assert_non_null(magazine);
            assert_int_equal(magazine->capacity, capacity);
            assert_ptr_equal(magazine_top(magazine), magazine_lowest(magazine));
            check_ends(magazine);
            for (unsigned i = 0; i < capacity; i++) {
                assert_non_null(magazine_lowest(magazine)[i]);
            }
            fill_up(magazine);
            assert_ptr_equal(magazine_top(magazine), magazine_lowest(magazine) + capacity);
            check_ends(magazine);
            magazine_destroy(magazine);
        }
    }
}

static void last_in_first_out(void **state) {
    struct magazine *magazine = magazine_create(3);
    (void)state;
    fill_up(magazine);
    for (unsigned i = 3; i-- > 0;) {
        assert_ptr_equal(magazine_pop(magazine), object(i));
    }
    assert_int_equal(magazine->count, 0);
    magazine_destroy(magazine);
}

static void the_lowest_go(void **state) {
    struct magazine *magazine = magazine_create(MAGAZINE_MOST);
    (void)state;
    fill_up(magazine);
    magazine_drop_lowest(magazine, 100);
    assert_int_equal(magazine->count, MAGAZINE_MOST - 100);
    for (unsigned i = MAGAZINE_MOST; i-- > 100;) {
        assert_ptr_equal(magazine_pop(magazine), object(i));
    }
    magazine_drop_lowest(magazine, 0);
    assert_int_equal(magazine->count, 0);
    check_ends(magazine);
    magazine_destroy(magazine);
}

static void all_move(void **state) {
    struct magazine *small = magazine_create(10), *large = magazine_create(20);
    (void)state;
    fill_up(small);
    magazine_move(large, small);
    assert_int_equal(small->count, 0);
    assert_int_equal(large->count, 10);
    for (unsigned i = 10; i-- > 0;) {
        assert_ptr_equal(magazine_pop(large), object(i));
    }
    magazine_destroy(small);
    magazine_destroy(large);
}

/* A thread's magazine shares no cache line with that of another. */
static void no_two_share_a_line(void **state) {
    enum { MANY = 4 * MAGAZINE_MOST };
    static struct magazine *magazines[MANY];
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        magazines[i] = magazine_create(i % MAGAZINE_MOST + 1);
        assert_true(is_aligned_to(magazines[i], CACHE_LINE));
        fill_up(magazines[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(magazines[i]->capacity, i % MAGAZINE_MOST + 1);
        check_ends(magazines[i]);
        assert_ptr_equal(magazine_pop(magazines[i]), object(i % MAGAZINE_MOST));
        magazine_destroy(magazines[i]);
    }
}

static void sizes_of_classes(void **state) {
    (void)state;
    assert_int_equal(magazine_capacity_most(8), MAGAZINE_MOST);
    assert_int_equal(magazine_capacity_most(4096), 32);
    assert_int_equal(magazine_capacity_most(32768), 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ones_are_between_nulls),
        cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(the_lowest_go),
        cmocka_unit_test(all_move),
        cmocka_unit_test(no_two_share_a_line),
        cmocka_unit_test(sizes_of_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
