/* The checked modes as a whole: that each keeps blocks apart and whole, which of two threads that
 * free a block is told, and how often a sample is taken. */
#include "support.h"

#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "guard.h"
#include "options.h"
#include "resize.h"

enum { BLOCKS = 500, ROUNDS = 20000 };

static void set_mode(size_t check) {
    options.check = check;
    options.guard_rate = 1;
    options.guard_slots = 64;
}

static size_t some_size(uint64_t *random) {
    size_t most = random_below(random, 50) == 0 ? 200000 : 600;
    return random_below(random, most);
}

/* One of the ways to allocate. */
static void *some_block(uint64_t *random, size_t size) {
    size_t align = (size_t)16 << random_below(random, 10);
    void *block;
    switch (random_below(random, 4)) {
    case 0:
        block = alloc_aligned(align, size);
        CHECK(is_aligned_to(block, align));
        return block;
    case 1:
        block = alloc_calloc(1, size);
        CHECK(is_zero(block, size));
        return block;
    default:
        return alloc_malloc(size);
    }
}

static void churn(const void *mode) {
    static void *block[BLOCKS];
    static size_t size[BLOCKS];
    uint64_t random = 1;
    set_mode(*(const size_t *)mode);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = (unsigned)random_below(&random, BLOCKS);
        CHECK(block[i] == NULL || is_filled(block[i], size[i], i));
        size_t now = some_size(&random);
        if (block[i] != NULL && round % 3 == 0) {
            block[i] = resize_realloc(block[i], now + 1);
            CHECK(is_filled(block[i], min_size(size[i], now + 1), i));
            now++;
        } else {
            alloc_free(block[i]);
            block[i] = some_block(&random, now);
        }
        CHECK(block[i] != NULL && resize_usable_size(block[i]) >= now);
        size[i] = now;
        fill(block[i], now, i);
    }
}

static void every_mode_holds(void **state) {
    static const size_t modes[] = {CHECK_CALLS, CHECK_CONTENTS, CHECK_SAMPLES};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        assert_child_passes(churn, &modes[i]);
    }
}

TEST_IN_CHILD(sizes_are_those_asked_for) {
    (void)unused;
    set_mode(CHECK_CONTENTS);
    for (size_t size = 0; size < 200000; size += 1 + size / 20) {
        void *block = alloc_malloc(size);
        CHECK(resize_usable_size(block) == size && check_knows_size(block));
        resize_free_sized(block, size, 1);
    }
}

/* ---- misuse by two threads ---- */

static void *shared[1000];
static atomic_uint next_to_free;

static void free_shared(unsigned index) {
    for (unsigned i = 0; i < COUNT_OF(shared); i++) {
        while (atomic_load(&next_to_free) / 2 < i) {
        }
        atomic_fetch_add(&next_to_free, 1);
        alloc_free(shared[i]);
    }
    (void)index;
}

static void free_by_two(const void *size) {
    set_mode(CHECK_CALLS);
    for (unsigned i = 0; i < COUNT_OF(shared); i++) {
        shared[i] = alloc_malloc(*(const size_t *)size);
    }
    run_threads(2, free_shared);
}

static void one_of_two_threads_is_told(void **state) {
    static const size_t sizes[] = {64, 50000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct child child;
        run_child(&child, free_by_two, &sizes[i]);
        if (strstr(child.text, "): double free ") == NULL) {
            print_message("status %d: %s\n", child.status, child.text);
        }
        assert_non_null(strstr(child.text, "): double free "));
    }
}

/* ---- samples ---- */

TEST_IN_CHILD(samples_come_at_the_rate) {
    unsigned large = 0, small = 0;
    (void)unused;
    options.check = CHECK_SAMPLES;
    options.guard_rate = 1000;
    for (unsigned i = 0; i < 100000; i++) {
        large += check_samples(MAX_SMALL_SIZE + 1);
    }
    CHECK(large >= 99 && large <= 101);
    for (unsigned i = 0; i < 100000; i++) {
        small += check_samples(1); /* a refill: some thirty allocations */
    }
    CHECK(small >= 25 * large && small <= 40 * large);
}

TEST_IN_CHILD(samples_are_guarded_and_others_not) {
    unsigned guarded = 0;
    (void)unused;
    options.check = CHECK_SAMPLES;
    options.guard_rate = 100;
    for (unsigned i = 0; i < 20000; i++) {
        void *block = alloc_malloc(64);
        fill(block, 64, i);
        if (guard_owns(block)) {
            guarded++;
            block = resize_realloc(block, 100);
            CHECK(is_filled(block, 64, i));
        }
        if (i % 2 == 0) {
            alloc_free(block);
        }
    }
    CHECK(guarded > 10 && guarded < 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_holds),
        cmocka_unit_test(sizes_are_those_asked_for),
        cmocka_unit_test(one_of_two_threads_is_told),
        cmocka_unit_test(samples_come_at_the_rate),
        cmocka_unit_test(samples_are_guarded_and_others_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
