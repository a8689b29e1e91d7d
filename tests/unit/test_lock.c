/* The mutex: exclusion, sleeping and waking, ownership, and what the child of a fork makes of
 * it. */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "lock.h"

enum { THREADS = 8, ROUNDS = 20000, FALL_ASLEEP_US = 50000 };

static struct lock shared = LOCK_INIT;
static size_t counter;
static bool inside;

static void count(unsigned index) {
    (void)index;
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock_acquire(&shared);
        CHECK(!inside);
        inside = true;
        counter++;
        inside = false;
        lock_release(&shared);
    }
}

static void mutual_exclusion(void **state) {
    (void)state;
    counter = 0;
    run_threads(THREADS, count);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_int_equal(shared.state, LOCK_FREE);
}

static _Atomic size_t tries_won;

/* Some by trying, some by waiting. */
static void count_by_trying(unsigned index) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (index % 2 == 0 || !lock_try(&shared)) {
            lock_acquire(&shared);
        } else {
            tries_won++;
        }
        counter++;
        lock_release(&shared);
    }
}

static void exclusion_with_tries(void **state) {
    (void)state;
    counter = 0;
    run_threads(THREADS, count_by_trying);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_true(tries_won > 0);
}

static void ownership(void **state) {
    struct lock lock = LOCK_INIT;
    (void)state;
    assert_false(lock_is_mine(&lock));
    assert_true(lock_try(&lock));
    assert_true(lock_is_mine(&lock));
    assert_false(lock_try(&lock));
    assert_true(lock_is_mine(&lock));
    lock_release(&lock);
    assert_false(lock_is_mine(&lock));
    lock_acquire(&lock);
    assert_true(lock_is_mine(&lock));
    lock_release(&lock);
    assert_true(lock_try(&lock));
    lock_release(&lock);
}

/* ---- sleeping ---- */

static struct lock slept_for = LOCK_INIT;
static _Atomic unsigned about_to_sleep;

/* Waits until all others want the lock and one of them has marked it, and gives them time to fall
 * asleep. Then it releases the lock for the thread that holds it; each sleeper must be woken by the
 * one before. */
static void sleep_for_lock(unsigned index) {
    if (index == 0) {
        while (about_to_sleep < THREADS - 1 || slept_for.state != LOCK_CONTENDED) {
            sched_yield();
        }
        usleep(FALL_ASLEEP_US);
        lock_release(&slept_for);
        return;
    }
    about_to_sleep++;
    lock_acquire(&slept_for);
    CHECK(lock_is_mine(&slept_for));
    counter++;
    lock_release(&slept_for);
}

static void sleepers_are_woken(void **state) {
    (void)state;
    counter = 0;
    about_to_sleep = 0;
    lock_acquire(&slept_for);
    run_threads(THREADS, sleep_for_lock);
    assert_int_equal(counter, THREADS - 1);
    assert_int_equal(slept_for.state, LOCK_FREE);
    assert_false(lock_is_mine(&slept_for));
}

/* ---- forks ---- */

static struct lock forked = LOCK_INIT;
static _Atomic int phase;

static void *hold(void *unused) {
    lock_acquire(&forked);
    phase = 1;
    while (phase != 2) {
        sched_yield();
    }
    lock_release(&forked);
    return unused;
}

static void mend_others(const void *unused) {
    (void)unused;
    CHECK(!lock_try(&forked));
    CHECK(lock_reset_in_child(&forked));
    CHECK(lock_try(&forked));
    CHECK(lock_is_mine(&forked));
    lock_release(&forked);
}

/* The thread pointer is that of the thread that held it, but the thread is a new one. */
static void mend_as_a_new_thread(const void *unused) {
    (void)unused;
    lock_acquire(&forked);
    lock_begin_reset(true);
    CHECK(!lock_reset_in_child(&forked) && lock_is_mine(&forked));
    lock_begin_reset(false);
    CHECK(lock_reset_in_child(&forked) && lock_try(&forked));
    lock_release(&forked);
}

static void fork_and_mend_as_a_new_thread(void **state) {
    (void)state;
    assert_child_passes(mend_as_a_new_thread, NULL);
}

static void fork_with_a_lock_of_another_thread(void **state) {
    pthread_t thread;
    (void)state;
    phase = 0;
    assert_int_equal(pthread_create(&thread, NULL, hold, NULL), 0);
    while (phase != 1) {
        sched_yield();
    }
    assert_child_passes(mend_others, NULL);
    phase = 2;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void keep_mine(const void *unused) {
    (void)unused;
    CHECK(!lock_reset_in_child(&forked));
    CHECK(lock_is_mine(&forked));
    CHECK(!lock_try(&forked));
    lock_release(&forked);
    CHECK(lock_try(&forked));
}

static void fork_with_a_lock_of_my_own(void **state) {
    (void)state;
    lock_acquire(&forked);
    assert_child_passes(keep_mine, NULL);
    lock_release(&forked);
}

static void leave_free(const void *unused) {
    (void)unused;
    CHECK(!lock_reset_in_child(&forked));
    CHECK(lock_try(&forked));
}

static void fork_with_a_free_lock(void **state) {
    (void)state;
    assert_child_passes(leave_free, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutual_exclusion),
        cmocka_unit_test(exclusion_with_tries),
        cmocka_unit_test(ownership),
        cmocka_unit_test(sleepers_are_woken),
        cmocka_unit_test(fork_and_mend_as_a_new_thread),
        cmocka_unit_test(fork_with_a_lock_of_another_thread),
        cmocka_unit_test(fork_with_a_lock_of_my_own),
        cmocka_unit_test(fork_with_a_free_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
