/*
 * The border of the slow path: what a signal handler that interrupts it gets, what becomes of its
 * frees, and what a thread leaves behind. A handler's call is the same as a call between
 * thread_enter and thread_leave, so no signal is needed. Each test has a heap of its own.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "emergency.h"
#include "goalloc.h"
#include "mcentral.h"
#include "mheap.h"
#include "resize.h"
#include "stats.h"
#include "thread.h"

enum { THREADS = 16, OBJECTS = 200 };

TEST_IN_CHILD(no_second_entrance) {
    (void)unused;
    CHECK(thread_enter());
    CHECK(!thread_enter());
    CHECK(thread_leave() == NULL);
    CHECK(thread_enter());
    CHECK(thread_leave() == NULL);
}

TEST_IN_CHILD(enter_makes_a_cache) {
    struct goalloc_stats stats;
    (void)unused;
    CHECK(thread_cache() == NULL);
    CHECK(thread_enter());
    CHECK(thread_cache() != NULL);
    thread_leave();
    stats_get(&stats);
    CHECK(stats.threads == 1);
}

/* Every way to allocate, inside the slow path. */
TEST_IN_CHILD(emergency_memory) {
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, MIB};
    (void)unused;
    CHECK(thread_enter());
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *a = alloc_malloc(sizes[i]);
        void *b = alloc_calloc(1, sizes[i]);
        void *c = alloc_aligned(4096, sizes[i]);
        CHECK(emergency_owns(a) && emergency_owns(b) && emergency_owns(c));
        CHECK(is_zero(b, sizes[i]) && is_aligned_to(c, 4096));
        CHECK(resize_usable_size(a) >= sizes[i]);
        fill(a, sizes[i], 1);
        a = resize_realloc(a, 2 * sizes[i] + 1000);
        CHECK(emergency_owns(a) && is_filled(a, sizes[i], 1));
        alloc_free(a);
        alloc_free(b);
        alloc_free(c);
    }
    CHECK(thread_leave() == NULL); /* what is not the heap's needs no deferring */
    CHECK(mheap_get_stats().in_use == 0);
}

/* It outlives the emergency and is freed and resized like any block. */
TEST_IN_CHILD(emergency_memory_afterwards) {
    (void)unused;
    CHECK(thread_enter());
    void *a = alloc_malloc(100), *b = alloc_malloc(100);
    thread_leave();
    fill(a, 100, 1);
    a = resize_realloc(a, 50000);
    CHECK(!emergency_owns(a) && is_filled(a, 100, 1));
    alloc_free(a);
    alloc_free(b);
    CHECK(thread_enter());
    CHECK(emergency_owns(alloc_malloc(100)));
    thread_leave();
}

/* The fast path works on, as long as a class has objects. */
TEST_IN_CHILD(fast_path_inside_the_slow_path) {
    (void)unused;
    void *a = alloc_malloc(64);
    alloc_free(a);
    CHECK(thread_enter());
    CHECK(alloc_malloc(64) == a);
    alloc_free(a);
    CHECK(thread_leave() == NULL);
}

TEST_IN_CHILD(frees_are_put_aside) {
    void *blocks[3];
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        blocks[i] = alloc_malloc(100000);
    }
    CHECK(thread_enter());
    for (unsigned i = 0; i < 3; i++) {
        alloc_free(blocks[i]);
    }
    CHECK(mheap_get_stats().large_blocks == 3);
    void *first = thread_leave();
    CHECK(first == blocks[2] && *(void **)first == blocks[1]);
    CHECK(*(void **)blocks[1] == blocks[0] && *(void **)blocks[0] == NULL);
    CHECK(thread_leave() == NULL);
}

/* The operation that was interrupted frees them at its end. */
TEST_IN_CHILD(deferred_frees_are_drained) {
    void *blocks[5];
    (void)unused;
    for (unsigned i = 0; i < 5; i++) {
        blocks[i] = alloc_malloc(100000);
    }
    void *small = alloc_malloc(64);
    mcache_flush(thread_cache());
    CHECK(thread_enter());
    for (unsigned i = 0; i < 4; i++) {
        alloc_free(blocks[i]);
    }
    alloc_free(small); /* no magazine of the class is loaded, so this is the slow path, too */
    CHECK(mheap_get_stats().large_blocks == 5);
    mcache_front.busy = false; /* the interrupted operation goes on, and ends like this one: */
    alloc_free(blocks[4]);
    alloc_release();
    CHECK(mheap_get_stats().large_blocks == 0);
    mcache_flush(thread_cache());
    CHECK(mcentral_get_stats(size_class(64)).out == 0);
}

/* ---- ends ---- */

static void use_all_classes(unsigned index) {
    static _Thread_local void *objects[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = alloc_malloc(class_to_size[1 + i % (CLASS_COUNT - 1)]);
        CHECK(objects[i] != NULL);
        fill(objects[i], 8, index + i);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        CHECK(is_filled(objects[i], 8, index + i));
        alloc_free(objects[i]);
    }
}

TEST_IN_CHILD(caches_go_back_at_the_end) {
    struct goalloc_stats stats;
    (void)unused;
    for (unsigned round = 0; round < 5; round++) {
        run_threads(THREADS, use_all_classes);
        stats_get(&stats);
        CHECK(stats.threads == 0 && stats.thread_cache == 0 && stats.allocated == 0);
    }
    mcentral_trim_all();
    CHECK(mheap_get_stats().in_use == 0);
}

/* Destructors of keys made later run after the cache has gone. */
static void *late_block;

static void use_heap_late(void *block) {
    CHECK(thread_cache() == NULL);
    alloc_free(block);
    for (unsigned i = 0; i < 20; i++) {
        void *more = alloc_malloc(10 + i * 100);
        CHECK(more != NULL);
        fill(more, 10 + i * 100, i);
        alloc_free(more);
    }
    late_block = alloc_malloc(100000);
    CHECK(thread_cache() == NULL);
}

static pthread_key_t late_key;

static void end_with_a_late_destructor(unsigned index) {
    (void)index;
    alloc_free(alloc_malloc(10));
    CHECK(thread_cache() != NULL);
    CHECK(pthread_setspecific(late_key, alloc_malloc(64)) == 0);
}

TEST_IN_CHILD(heap_after_the_end) {
    struct goalloc_stats stats;
    (void)unused;
    thread_start_with_libc();
    CHECK(pthread_key_create(&late_key, use_heap_late) == 0);
    run_threads(1, end_with_a_late_destructor);
    CHECK(late_block != NULL);
    alloc_free(late_block);
    stats_get(&stats);
    CHECK(stats.allocated == 0 && stats.thread_cache == 0);
}

/* ---- forks ---- */

enum { FORKERS = 4, FORKS = 50 };

static _Atomic unsigned attached;
static _Atomic bool stop;

/* A lock that was left held would hang it. */
static void use_heap_in_child(void) {
    use_all_classes((unsigned)getpid());
    CHECK(alloc_malloc(100000) != NULL);
    CHECK(mheap_is_valid());
}

static void fork_or_churn(unsigned index) {
    use_all_classes(index);
    attached++;
    while (attached < FORKERS) {
        sched_yield();
    }
    if (index == 0) {
        run_forks(FORKS, use_heap_in_child);
        stop = true;
    }
    while (!stop) {
        use_all_classes(index);
    }
}

TEST_IN_CHILD(forks_while_threads_allocate) {
    (void)unused;
    run_threads(FORKERS, fork_or_churn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_second_entrance),
        cmocka_unit_test(enter_makes_a_cache),
        cmocka_unit_test(emergency_memory),
        cmocka_unit_test(emergency_memory_afterwards),
        cmocka_unit_test(fast_path_inside_the_slow_path),
        cmocka_unit_test(frees_are_put_aside),
        cmocka_unit_test(deferred_frees_are_drained),
        cmocka_unit_test(caches_go_back_at_the_end),
        cmocka_unit_test(heap_after_the_end),
        cmocka_unit_test(forks_while_threads_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
