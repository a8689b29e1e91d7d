/* Free lists of structs: alignment, the order of reuse, chunk borders, threads. */
#include "support.h"

#include "base.h"
#include "fixalloc.h"
#include "persistent.h"

enum { THREADS = 8, OBJECTS = 2000, KEPT = 64, ROUNDS = 20000 };

static void *take(struct fixalloc *pool, unsigned seed) {
    void *object = fixalloc_alloc(pool);
    CHECK(object != NULL);
    CHECK(is_aligned_to(object, pool->align));
    fill(object, pool->size, seed);
    return object;
}

/* More than a chunk has, so the next one is begun; the size may or may not divide a chunk. */
static void fill_chunks(size_t size, size_t align) {
    static void *objects[OBJECTS];
    struct fixalloc pool = FIXALLOC_INIT((uint32_t)size, (uint32_t)align);
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = take(&pool, i);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        assert_true(is_filled(objects[i], size, i));
    }
}

static void sizes_and_alignments(void **state) {
    (void)state;
    fill_chunks(8, 8);
    fill_chunks(24, 8);
    fill_chunks(48, 16);
    fill_chunks(192, 64);
    fill_chunks(512, 512);
    fill_chunks(17 * 64, 64);
    fill_chunks(17 * 64 + 8, 64);
}

static void first_use_is_zero(void **state) {
    struct fixalloc pool = FIXALLOC_INIT(40, 8);
    (void)state;
    for (unsigned i = 0; i < OBJECTS; i++) {
        void *object = fixalloc_alloc(&pool);
        assert_true(is_zero(object, 40));
        fill(object, 40, i);
    }
}

static void last_in_first_out(void **state) {
    struct fixalloc pool = FIXALLOC_INIT(64, 64);
    void *a = take(&pool, 1), *b = take(&pool, 2), *c = take(&pool, 3);
    (void)state;
    fixalloc_free(&pool, b);
    fixalloc_free(&pool, a);
    fixalloc_free(&pool, c);
    assert_ptr_equal(fixalloc_alloc(&pool), c);
    assert_ptr_equal(fixalloc_alloc(&pool), a);
    assert_ptr_equal(fixalloc_alloc(&pool), b);
    void *d = fixalloc_alloc(&pool);
    assert_true(d != a && d != b && d != c);
}

/* A program that frees what it takes uses one chunk for ever. */
static void reuse_costs_nothing(void **state) {
    struct fixalloc pool = FIXALLOC_INIT(128, 64);
    (void)state;
    fixalloc_free(&pool, fixalloc_alloc(&pool));
    size_t before = persistent_bytes();
    for (unsigned i = 0; i < ROUNDS; i++) {
        fixalloc_free(&pool, fixalloc_alloc(&pool));
    }
    assert_int_equal(persistent_bytes(), before);
}

static struct fixalloc shared = FIXALLOC_INIT(96, 32);

static void take_and_free(unsigned index) {
    void *kept[KEPT] = {NULL};
    uint64_t seed = index + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)random_below(&seed, KEPT);
        if (kept[at] == NULL) {
            kept[at] = take(&shared, index * KEPT + at);
        } else {
            CHECK(is_filled(kept[at], shared.size, index * KEPT + at));
            fixalloc_free(&shared, kept[at]);
            kept[at] = NULL;
        }
    }
    for (unsigned at = 0; at < KEPT; at++) {
        CHECK(kept[at] == NULL || is_filled(kept[at], shared.size, index * KEPT + at));
    }
}

static void many_threads(void **state) {
    (void)state;
    size_t before = persistent_bytes();
    run_threads(THREADS, take_and_free);
    assert_true(persistent_bytes() - before <= THREADS * KEPT * shared.size + 2 * 16 * KIB);
}

TEST_IN_CHILD(usable_in_the_child_of_a_fork) {
    struct fixalloc pool = FIXALLOC_INIT(64, 64);
    (void)unused;
    void *a = take(&pool, 1);
    pool.lock.state = LOCK_HELD; /* by a thread that stayed in the parent */
    pool.lock.owner = 1;
    fixalloc_reset_in_child(&pool);
    void *b = take(&pool, 2);
    CHECK(is_filled(a, 64, 1) && b != a);
    fixalloc_free(&pool, a);
    CHECK(fixalloc_alloc(&pool) == a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_alignments), cmocka_unit_test(first_use_is_zero),
        cmocka_unit_test(last_in_first_out),    cmocka_unit_test(reuse_costs_nothing),
        cmocka_unit_test(many_threads),         cmocka_unit_test(usable_in_the_child_of_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
