/* Emergency memory: aligned, usable as far as it says, used again, shared by threads. Each test has
 * memory of its own. */
#include "support.h"

#include "base.h"
#include "emergency.h"

enum { THREADS = 8, ROUNDS = 10000, KEPT = 32 };

static void *take(size_t size, size_t align, unsigned seed) {
    void *block = emergency_alloc(size, align);
    CHECK(block != NULL && is_aligned_to(block, align) && is_aligned_to(block, 16));
    CHECK(emergency_usable_size(block) >= size);
    CHECK(emergency_owns(block) && emergency_owns((char *)block + (size > 0 ? size - 1 : 0)));
    fill(block, emergency_usable_size(block), seed);
    return block;
}

TEST_IN_CHILD(owns_nothing_at_first) {
    int local = 0;
    (void)unused;
    CHECK(!emergency_owns(NULL) && !emergency_owns(&local));
    take(1, 16, 0);
    CHECK(!emergency_owns(NULL) && !emergency_owns(&local));
}

TEST_IN_CHILD(sizes_and_alignments) {
    void *blocks[400];
    unsigned count = 0;
    (void)unused;
    for (size_t align = 16; align <= MIB; align *= 4) {
        for (size_t size = 0; size < 3 * MIB; size = size * 3 + 1) {
            blocks[count] = take(size, align, count);
            count++;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK(is_filled(blocks[i], emergency_usable_size(blocks[i]), i));
        emergency_free(blocks[i]);
    }
}

static void absurd_sizes(void **state) {
    (void)state;
    assert_null(emergency_alloc(SIZE_MAX, 16));
    assert_null(emergency_alloc(PTRDIFF_MAX, 16));
    assert_null(emergency_alloc(1, (size_t)1 << 62));
    assert_null(emergency_alloc((size_t)1 << 38, (size_t)1 << 50));
}

TEST_IN_CHILD(reuse) {
    (void)unused;
    for (size_t size = 1; size < MIB; size = size * 2 + 3) {
        void *block = take(size, 16, 1);
        emergency_free(block);
        CHECK(take(size, 16, 2) == block);
        void *other = take(size, 16, 3);
        CHECK(other != block);
        emergency_free(block);
        emergency_free(other);
        void *a = take(size, 16, 4), *b = take(size, 16, 5);
        CHECK((a == block && b == other) || (a == other && b == block));
        emergency_free(a);
        emergency_free(b);
    }
}

TEST_IN_CHILD(only_blocks_in_use_are_freed) {
    (void)unused;
    char *block = take(100, 16, 1), *aligned = take(100, 4 * KIB, 2);
    CHECK(!emergency_free(block + 16) && !emergency_free(block + 1) && !emergency_free(block - 8));
    CHECK(emergency_usable_size(block + 16) == 0 && emergency_usable_size(block) >= 100);
    CHECK(emergency_free(block) && !emergency_free(block));
    CHECK(emergency_usable_size(block) == 0);
    CHECK(emergency_free(aligned) && !emergency_free(aligned));
    void *again = take(100, 16, 3);
    CHECK(again == block && take(100, 16, 4) != block && emergency_free(again));
}

/* An aligned block is recycled whole. */
TEST_IN_CHILD(reuse_of_aligned_blocks) {
    (void)unused;
    for (unsigned i = 0; i < 1000; i++) {
        void *block = take(100, 64 * KIB, i);
        CHECK(emergency_usable_size(block) < 256 * KIB);
        emergency_free(block);
    }
}

/* For ever in bounded memory: a region is a mebibyte, and there are 64 of them. */
TEST_IN_CHILD(reuse_is_unlimited) {
    (void)unused;
    for (unsigned i = 0; i < 10000; i++) {
        void *a = take(30000, 16, i), *b = take(70000, 16, i);
        emergency_free(a);
        emergency_free(b);
    }
}

TEST_IN_CHILD(used_up) {
    void *last = NULL, *block;
    size_t count = 0;
    (void)unused;
    while ((block = emergency_alloc(512 * KIB, 16)) != NULL) {
        last = block;
        count++;
    }
    CHECK(count == 64 && last != NULL);
    CHECK(emergency_alloc(MIB, 16) == NULL);
    emergency_free(last);
    CHECK(emergency_alloc(512 * KIB, 16) == last);
}

static void take_and_free(unsigned index) {
    void *kept[KEPT] = {NULL};
    uint64_t seed = index + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)random_below(&seed, KEPT), tag = index * KEPT + at;
        if (kept[at] == NULL) {
            kept[at] = take(1 + random_below(&seed, 2000), 16, tag);
        } else {
            CHECK(is_filled(kept[at], emergency_usable_size(kept[at]), tag));
            emergency_free(kept[at]);
            kept[at] = NULL;
        }
    }
}

TEST_IN_CHILD(many_threads) {
    (void)unused;
    run_threads(THREADS, take_and_free);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owns_nothing_at_first),
        cmocka_unit_test(sizes_and_alignments),
        cmocka_unit_test(absurd_sizes),
        cmocka_unit_test(reuse),
        cmocka_unit_test(only_blocks_in_use_are_freed),
        cmocka_unit_test(reuse_of_aligned_blocks),
        cmocka_unit_test(reuse_is_unlimited),
        cmocka_unit_test(used_up),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
