/* The bit arithmetic against loops that look at one bit at a time. */
#include "support.h"

#include "bits.h"

enum { ROUNDS = 20000 };

static bool bit(uint64_t word, unsigned i) {
    return word >> i & 1;
}

/* Is there a run of n ones at bit i? */
static bool run_at(uint64_t word, unsigned i, unsigned n) {
    for (unsigned k = 0; k < n; k++) {
        if (i + k >= WORD_BITS || !bit(word, i + k)) {
            return false;
        }
    }
    return true;
}

static unsigned naive_find_run(uint64_t word, unsigned n) {
    unsigned i = 0;
    while (i < WORD_BITS && !run_at(word, i, n)) {
        i++;
    }
    return i;
}

static unsigned naive_longest(uint64_t word) {
    unsigned n = 0;
    while (n < WORD_BITS && naive_find_run(word, n + 1) < WORD_BITS) {
        n++;
    }
    return n;
}

static unsigned naive_count(uint64_t word) {
    unsigned count = 0;
    for (unsigned i = 0; i < WORD_BITS; i++) {
        count += bit(word, i);
    }
    return count;
}

static unsigned naive_leading(uint64_t word) {
    unsigned n = 0;
    while (n < WORD_BITS && bit(word, WORD_BITS - 1 - n)) {
        n++;
    }
    return n;
}

static unsigned naive_trailing(uint64_t word) {
    unsigned n = 0;
    while (n < WORD_BITS && bit(word, n)) {
        n++;
    }
    return n;
}

static void compare(uint64_t word) {
    assert_int_equal(bits_trailing_ones(word), naive_trailing(word));
    assert_int_equal(bits_leading_ones(word), naive_leading(word));
    assert_int_equal(bits_count(word), naive_count(word));
    unsigned longest = naive_longest(word);
    for (unsigned known = 0; known <= WORD_BITS; known++) {
        assert_int_equal(bits_longest_run(word, known), longest > known ? longest : known);
    }
    if (word != 0) {
        assert_int_equal(bits_lowest(word), naive_find_run(word, 1));
        assert_true(bit(word, bits_highest(word)) && word >> bits_highest(word) == 1);
    }
}

static uint64_t naive_runs(uint64_t word, unsigned n) {
    uint64_t runs = 0;
    for (unsigned i = 0; i < WORD_BITS; i++) {
        runs |= (uint64_t)run_at(word, i, n) << i;
    }
    return runs;
}

static void compare_runs(uint64_t word, unsigned n) {
    assert_int_equal(bits_find_run(word, n), naive_find_run(word, n));
    assert_int_equal(bits_runs(word, n), naive_runs(word, n));
}

static void compare_all_runs(uint64_t word) {
    for (unsigned n = 1; n <= WORD_BITS; n++) {
        compare_runs(word, n);
    }
}

/* Dense, sparse and in stretches: what bitmaps of pages look like. */
static uint64_t random_word(uint64_t *state) {
    uint64_t word = random_next(state);
    switch (random_below(state, 4)) {
    case 0:
        return word | random_next(state) | random_next(state);
    case 1:
        return word & random_next(state) & random_next(state);
    case 2:
        return word >> random_below(state, 64) | ~UINT64_C(0) << random_below(state, 64);
    default:
        return word;
    }
}

static void special_words(void **state) {
    (void)state;
    compare(0);
    compare(~UINT64_C(0));
    compare_all_runs(0);
    compare_all_runs(~UINT64_C(0));
    for (unsigned i = 0; i < WORD_BITS; i++) {
        uint64_t words[] = {UINT64_C(1) << i, ~(UINT64_C(1) << i), ~UINT64_C(0) << i,
                            ~UINT64_C(0) >> i};
        for (size_t k = 0; k < COUNT_OF(words); k++) {
            compare(words[k]);
            compare_all_runs(words[k]);
        }
    }
}

static void random_words(void **state) {
    uint64_t seed = 1;
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t word = random_word(&seed);
        compare(word);
        compare_runs(word, 1 + (unsigned)random_below(&seed, WORD_BITS));
    }
}

static void every_mask(void **state) {
    (void)state;
    for (unsigned from = 0; from < WORD_BITS; from++) {
        for (unsigned count = 1; from + count <= WORD_BITS; count++) {
            uint64_t mask = bits_mask(from, count);
            assert_int_equal(naive_count(mask), count);
            assert_true(run_at(mask, from, count));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_words),
        cmocka_unit_test(random_words),
        cmocka_unit_test(every_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
