/* The thread's cache, worked through the fast paths in front of it: how magazines grow, what may be
 * kept, where other threads' objects go. Each test has a heap of its own. */
#include "support.h"

#include "alloc.h"
#include "arena.h"
#include "magazine.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "registry.h"
#include "thread.h"

enum { MANY = 3000, SIZE = 64, SWEEP = 128 };

static void *objects[MANY];

static void alloc_all(size_t size, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        objects[i] = alloc_malloc(size);
        CHECK(objects[i] != NULL);
        fill(objects[i], size, i);
    }
}

static void free_all(size_t size, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        CHECK(is_filled(objects[i], size, i));
        alloc_free(objects[i]);
    }
}

static size_t cached_bytes(void) {
    size_t caches;
    return registry_total_bytes(&caches);
}

/* The magazine that the top of a class points into; NULL: none. */
static struct magazine *loaded(unsigned class) {
    uintptr_t top = mcache_front.top[class];
    return top == 0 ? NULL : thread_cache()->bins[class].magazine;
}

TEST_IN_CHILD(starts_without_a_magazine) {
    (void)unused;
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        CHECK(mcache_slot(mcache_front.top[class])[-1] == NULL);
        CHECK(mcache_slot(mcache_front.top[class])[0] == NULL);
    }
    CHECK(thread_cache() == NULL);
    alloc_all(SIZE, 1);
    CHECK(thread_cache() != NULL && loaded(size_class(SIZE)) != NULL);
    CHECK(mcache_front.top[0] == 0);
}

TEST_IN_CHILD(last_in_first_out) {
    (void)unused;
    alloc_all(SIZE, 3);
    alloc_free(objects[1]);
    alloc_free(objects[0]);
    alloc_free(objects[2]);
    CHECK(alloc_malloc(SIZE) == objects[2]);
    CHECK(alloc_malloc(SIZE) == objects[0]);
    CHECK(alloc_malloc(SIZE) == objects[1]);
}

/* Refills and overflows over and over, with contents. */
TEST_IN_CHILD(refill_and_overflow) {
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        size_t size = class_to_size[class];
        unsigned n = size > 4096 ? 150 : 1000;
        for (unsigned round = 0; round < 3; round++) {
            alloc_all(size, n);
            free_all(size, n);
        }
        CHECK(mcentral_is_valid(class));
    }
}

static uint32_t largest_capacity(size_t size) {
    uint32_t most = 0;
    for (unsigned i = 0; i < MANY; i++) {
        objects[i] = alloc_malloc(size);
        CHECK(objects[i] != NULL);
        const struct magazine *magazine = loaded(size_class(size));
        most = magazine->capacity > most ? magazine->capacity : most;
    }
    return most;
}

/* The first has 8 objects and room for 16; in the end as many as a KiB has slots for, or 128 KiB. */
TEST_IN_CHILD(capacity_grows) {
    (void)unused;
    alloc_all(SIZE, 1);
    CHECK(loaded(size_class(SIZE))->capacity == 16);
    CHECK(cached_bytes() == 7 * SIZE);
    CHECK(largest_capacity(SIZE) == MAGAZINE_MOST);
    CHECK(largest_capacity(2048) == 64);
    CHECK(largest_capacity(16384) == 16);
}

TEST_IN_CHILD(largest_capacity_is_recognised) {
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        unsigned most = magazine_capacity_most(class_to_size[class]);
        for (unsigned capacity = 0; capacity <= most; capacity++) {
            CHECK(magazine_is_largest(capacity, class_to_size[class]) == (capacity == most));
        }
    }
}

/* How many of 100 times up and down by 5 objects take the slow path. */
static unsigned slow_swings(void) {
    unsigned slow = 0;
    for (unsigned i = 0; i < 100; i++) {
        unsigned before = thread_cache()->operations;
        void *some[5];
        for (unsigned k = 0; k < 5; k++) {
            some[k] = alloc_malloc(SIZE);
        }
        for (unsigned k = 0; k < 5; k++) {
            alloc_free(some[k]);
        }
        slow += thread_cache()->operations != before;
    }
    return slow;
}

/* Wherever a program stands, also where the magazine is empty or full. */
TEST_IN_CHILD(small_swings_stay_on_the_fast_path) {
    (void)unused;
    alloc_all(SIZE, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        alloc_free(objects[i]);
        CHECK(slow_swings() <= 2);
    }
    for (unsigned i = 0; i < MANY; i++) {
        objects[i] = alloc_malloc(SIZE);
        CHECK(slow_swings() <= 2);
    }
}

/* Of a full magazine those go back that were freed first. */
TEST_IN_CHILD(the_older_half_goes_back) {
    (void)unused;
    CHECK(largest_capacity(SIZE) == MAGAZINE_MOST);
    const struct magazine *magazine = loaded(size_class(SIZE));
    unsigned freed = 0;
    for (size_t before = 0; before <= cached_bytes(); freed++) {
        before = cached_bytes();
        alloc_free(objects[freed]);
    }
    CHECK(cached_bytes() == (MAGAZINE_MOST - MAGAZINE_MOST / 2 + 1) * SIZE);
    for (unsigned i = freed; i-- > freed - (MAGAZINE_MOST - MAGAZINE_MOST / 2 + 1);) {
        CHECK(alloc_malloc(SIZE) == objects[i]);
    }
    CHECK(cached_bytes() == 0 && loaded(size_class(SIZE)) == magazine);
}

/* Where objects are replaced at random, one call in a thousand comes to the slow path. */
TEST_IN_CHILD(random_replacement_is_rarely_slow) {
    enum { TIMES = 100000, OTHER = 128 };
    uint64_t seed = 1;
    unsigned slow = 0;
    (void)unused;
    CHECK(largest_capacity(SIZE) == MAGAZINE_MOST);
    largest_capacity(OTHER); /* from here on the live objects are of either size */
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned before = thread_cache()->operations;
        void **object = &objects[random_below(&seed, MANY)];
        alloc_free(*object);
        *object = alloc_malloc(random_below(&seed, 2) == 0 ? SIZE : OTHER);
        slow += thread_cache()->operations - before;
    }
    CHECK(slow > 0 && slow < 2 * TIMES / 1000);
}

/* Objects of one size become fewer, and the heap hands out pages meanwhile. So many calls of a
 * hundred are frees. */
static void shrink(unsigned frees) {
    static void *live[9 * MANY];
    unsigned n = 8 * MANY;
    uint64_t seed = 1;
    for (unsigned i = 0; i < n; i++) {
        live[i] = alloc_malloc(SIZE);
    }
    while (n > 2 * MANY) {
        if (random_below(&seed, 100) < frees) {
            void **one = &live[random_below(&seed, n)];
            alloc_free(*one);
            *one = live[--n];
        } else {
            live[n++] = alloc_malloc(SIZE);
        }
        CHECK(alloc_malloc(8 * SIZE) != NULL);
    }
}

static size_t draining_pages(void) {
    size_t pages = 0;
    for (unsigned shard = 0; shard < MCENTRAL_SHARDS; shard++) {
        pages += mcentrals[shard][size_class(SIZE)].set.draining_pages;
    }
    return pages;
}

/* Although its magazine never becomes empty. */
TEST_IN_CHILD(a_class_that_shrinks_drains) {
    (void)unused;
    shrink(60);
    CHECK(draining_pages() > 0);
}

/* Malloc would take it next. */
TEST_IN_CHILD(nothing_is_kept_of_what_drains) {
    (void)unused;
    shrink(60);
    void **kept = magazine_lowest(loaded(size_class(SIZE)));
    void **top = mcache_slot(mcache_front.top[size_class(SIZE)]);
    CHECK(draining_pages() > 0 && top - kept > MAGAZINE_MOST / 8);
    for (; kept < top; kept++) {
        const struct arena *arena = arena_of((uintptr_t)*kept);
        size_t page = arena_page(arena, (uintptr_t)*kept);
        CHECK(arena_page_class(arena, page) == size_class(SIZE));
    }
}

/* Although malloc takes one object where free gives fifty. */
TEST_IN_CHILD(a_class_that_is_mostly_freed_of_drains) {
    (void)unused;
    shrink(98);
    CHECK(draining_pages() > 0);
}

/* Its spans become empty by themselves. */
TEST_IN_CHILD(a_class_that_is_only_freed_of_does_not) {
    (void)unused;
    shrink(100);
    CHECK(draining_pages() == 0);
}

/* The heap hands out pages for another class, at a few slow calls. */
static void use_pages(void) {
    for (unsigned i = 0; i < 1500; i++) {
        CHECK(alloc_malloc(8 * SIZE) != NULL);
    }
}

/* Whoever frees its objects; and if it is in use, at another class's slow calls, too. */
TEST_IN_CHILD(a_class_that_is_idle_does_not_drain) {
    (void)unused;
    alloc_all(SIZE, MANY);
    for (unsigned before = thread_cache()->operations;
         thread_cache()->operations - before < SWEEP;) {
        use_pages();
    }
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 4 != 0) {
            mcentral_give(size_class(SIZE), &objects[i], 1, "free");
        }
    }
    use_pages();
    CHECK(draining_pages() == 0);
    alloc_free(objects[0]);
    use_pages();
    CHECK(draining_pages() > 0);
}

static unsigned magazines(void) {
    unsigned n = 0;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        n += thread_cache()->bins[class].magazine != NULL;
    }
    return n;
}

/* No operation does the work for all. */
TEST_IN_CHILD(idle_classes_go_back_one_by_one) {
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        CHECK(alloc_malloc(class_to_size[class]) != NULL);
    }
    unsigned before = magazines();
    CHECK(before == CLASS_COUNT - 1);
    for (unsigned i = 0; i < 2 * SWEEP; i++) {
        for (unsigned operations = thread_cache()->operations;
             operations == thread_cache()->operations;) {
            CHECK(alloc_malloc(SIZE) != NULL);
        }
        CHECK(before - magazines() <= 1);
        before = magazines();
    }
    CHECK(before == 1 && cached_bytes() < KIB * SIZE);
}

TEST_IN_CHILD(flush_gives_everything_back) {
    (void)unused;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        alloc_all(class_to_size[class], 40);
        free_all(class_to_size[class], 40);
    }
    CHECK(cached_bytes() > 0);
    mcache_flush(thread_cache());
    CHECK(cached_bytes() == 0);
    mcentral_trim_all();
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        CHECK(mcentral_get_stats(class).out == 0 && loaded(class) == NULL);
    }
    CHECK(mheap_get_stats().in_use == 0);
    alloc_all(SIZE, 100);
    free_all(SIZE, 100);
}

/* ---- budgets ---- */

/* The largest cache that many rounds over all classes lead to. */
static size_t most_cached(void) {
    uint64_t seed = 3;
    size_t most = 0;
    for (unsigned i = 0; i < 600; i++) {
        unsigned class = 1 + (unsigned)random_below(&seed, CLASS_COUNT - 1);
        unsigned n = 1 + (unsigned)random_below(&seed, 300);
        for (unsigned k = 0; k < n; k++) {
            objects[k] = alloc_malloc(class_to_size[class]);
        }
        for (unsigned k = 0; k < n; k++) {
            alloc_free(objects[k]);
        }
        size_t bytes = cached_bytes();
        most = bytes > most ? bytes : most;
    }
    return most;
}

TEST_IN_CHILD(budget_by_default) {
    (void)unused;
    CHECK(most_cached() <= options.thread_cache_max);
}

TEST_IN_CHILD(budget_by_option) {
    (void)unused;
    options.thread_cache_max = 256 * KIB;
    CHECK(most_cached() <= options.thread_cache_max);
}

TEST_IN_CHILD(least_budget) {
    (void)unused;
    options.thread_cache_max = 16 * KIB;
    CHECK(most_cached() <= options.thread_cache_max);
}

/* Nothing beyond the 512 KiB that are each thread's own. */
TEST_IN_CHILD(budget_of_all_threads) {
    (void)unused;
    options.cache_max = 0;
    CHECK(most_cached() <= 512 * KIB);
}

/* ---- other threads' objects ---- */

static void alloc_some(unsigned index) {
    (void)index;
    alloc_all(SIZE, 5);
}

static unsigned index_of(const void *object, unsigned n) {
    unsigned i = 0;
    while (i < n && objects[i] != object) {
        i++;
    }
    return i;
}

/* A thread that frees what another allocated, and has not allocated of the class: malloc does not
 * see these objects until they are back in their spans. */
TEST_IN_CHILD(foreign_objects_are_kept_apart) {
    unsigned class = size_class(SIZE);
    (void)unused;
    run_threads(1, alloc_some);
    CHECK(cached_bytes() == 0 && mcentral_get_stats(class).out == 5 * SIZE);
    free_all(SIZE, 5);
    CHECK(cached_bytes() == 5 * SIZE && loaded(class) == NULL);
    CHECK(mcentral_get_stats(class).out == 5 * SIZE);
    void *object = alloc_malloc(SIZE);
    CHECK(object != NULL && index_of(object, 5) <= 5);
    alloc_free(object);
    mcache_flush(thread_cache());
    CHECK(mcentral_get_stats(class).out == 0 && mcentral_is_valid(class));
}

/* What has been collected goes back in the end, too, although no allocation asks for it. */
TEST_IN_CHILD(foreign_objects_go_back) {
    unsigned class = size_class(SIZE);
    (void)unused;
    run_threads(1, alloc_some);
    free_all(SIZE, 5);
    CHECK(mcentral_get_stats(class).out == 5 * SIZE);
    for (unsigned i = 0; i < 300; i++) {
        alloc_free(
            alloc_malloc(100 * KIB)); /* slow operations; those of large blocks do not count */
        alloc_all(5000, 100);
        free_all(5000, 100);
    }
    CHECK(mcentral_get_stats(class).out == 0 && mcentral_is_valid(class));
}

static void alloc_many(unsigned index) {
    (void)index;
    alloc_all(SIZE, MANY);
}

/* It fills magazines as others do when there are too many for the first, but of half the size. */
TEST_IN_CHILD(a_thread_that_only_frees) {
    (void)unused;
    run_threads(1, alloc_many);
    free_all(SIZE, MANY);
    CHECK(cached_bytes() > 0 && cached_bytes() <= (size_t)MAGAZINE_MOST / 2 * SIZE);
    mcache_flush(thread_cache());
    mcentral_trim_all();
    CHECK(mcentral_get_stats(size_class(SIZE)).out == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_without_a_magazine),
        cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(refill_and_overflow),
        cmocka_unit_test(capacity_grows),
        cmocka_unit_test(largest_capacity_is_recognised),
        cmocka_unit_test(small_swings_stay_on_the_fast_path),
        cmocka_unit_test(the_older_half_goes_back),
        cmocka_unit_test(random_replacement_is_rarely_slow),
        cmocka_unit_test(a_class_that_shrinks_drains),
        cmocka_unit_test(nothing_is_kept_of_what_drains),
        cmocka_unit_test(a_class_that_is_mostly_freed_of_drains),
        cmocka_unit_test(a_class_that_is_only_freed_of_does_not),
        cmocka_unit_test(a_class_that_is_idle_does_not_drain),
        cmocka_unit_test(idle_classes_go_back_one_by_one),
        cmocka_unit_test(flush_gives_everything_back),
        cmocka_unit_test(budget_by_default),
        cmocka_unit_test(budget_by_option),
        cmocka_unit_test(least_budget),
        cmocka_unit_test(budget_of_all_threads),
        cmocka_unit_test(foreign_objects_are_kept_apart),
        cmocka_unit_test(foreign_objects_go_back),
        cmocka_unit_test(a_thread_that_only_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
