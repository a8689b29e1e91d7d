/* Metadata memory: aligned, zero, apart from everything else, counted. */
#include "support.h"

#include "base.h"
#include "os.h"
#include "persistent.h"

enum { THREADS = 4, BLOCKS = 500 };

struct piece {
    unsigned char *memory;
    size_t size;
    unsigned seed;
};

static struct piece take(size_t size, size_t align, unsigned seed) {
    struct piece piece = {persistent_alloc(size, align), size, seed};
    CHECK(piece.memory != NULL);
    CHECK(is_aligned_to(piece.memory, align));
    CHECK(is_zero(piece.memory, size));
    fill(piece.memory, size, seed);
    return piece;
}

/* Pieces that overlapped would have overwritten one another. */
static void check_contents(const struct piece *pieces, size_t count) {
    for (size_t i = 0; i < count; i++) {
        CHECK(is_filled(pieces[i].memory, pieces[i].size, pieces[i].seed));
    }
}

static void every_alignment(void **state) {
    struct piece pieces[64];
    size_t count = 0;
    (void)state;
    for (size_t align = 1; align <= os_page_size(); align *= 2) {
        for (size_t size = 1; size < 1000; size = size * 7 + 3) {
            pieces[count] = take(size, align, (unsigned)count);
            count++;
        }
    }
    check_contents(pieces, count);
}

/* Through many chunks, and above the size that goes to the system by itself. */
static void many_sizes(void **state) {
    static struct piece pieces[BLOCKS];
    uint64_t seed = 5;
    (void)state;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = 1 + random_below(&seed, i % 50 == 0 ? 300 * KIB : 8 * KIB);
        pieces[i] = take(size, (size_t)1 << random_below(&seed, 10), i);
    }
    check_contents(pieces, BLOCKS);
}

static void bytes_are_counted(void **state) {
    static const size_t sizes[] = {1, 64, 64 * KIB, 64 * KIB + 1, MIB};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t before = persistent_bytes();
        take(sizes[i], 8, 0);
        assert_int_equal(persistent_bytes() - before, sizes[i]);
    }
}

static void take_many(unsigned index) {
    struct piece pieces[BLOCKS];
    uint64_t seed = index + 1;
    for (unsigned i = 0; i < BLOCKS; i++) {
        pieces[i] = take(1 + random_below(&seed, 2000), 16, index * BLOCKS + i);
    }
    check_contents(pieces, BLOCKS);
}

static void many_threads(void **state) {
    (void)state;
    size_t before = persistent_bytes();
    run_threads(THREADS, take_many);
    assert_true(persistent_bytes() > before);
}

TEST_IN_CHILD(no_memory) {
    (void)unused;
    limit_address_space(MIB);
    size_t before = persistent_bytes();
    CHECK(persistent_alloc(64 * MIB, 16) == NULL);
    CHECK(persistent_bytes() == before);
    while (persistent_alloc(32 * KIB, 16) != NULL) {
        CHECK(persistent_bytes() - before < 2 * MIB);
    }
    CHECK((persistent_bytes() - before) % (32 * KIB) == 0);
}

TEST_IN_CHILD(usable_in_the_child_of_a_fork) {
    (void)unused;
    persistent_reset_in_child();
    take(100, 64, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_alignment),   cmocka_unit_test(many_sizes),
        cmocka_unit_test(bytes_are_counted), cmocka_unit_test(many_threads),
        cmocka_unit_test(no_memory),         cmocka_unit_test(usable_in_the_child_of_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
