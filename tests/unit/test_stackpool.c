/* The pools of stacks: the arithmetic of every kind, where what is given back goes, guards of both
 * sorts, forks. Each test has a heap of its own. */
#include "support.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mheap.h"
#include "os.h"
#include "stackpool.h"

enum { MANY = 640, THREADS = 4, CALLS = 4000, FORKS = 200, HALF_MADE = 64 };

static void *lows[MANY];

static void take(unsigned kind, unsigned n) {
    bool clean;
    for (unsigned got = 0, more; got < n; got += more) {
        more = stackpool_take(kind, lows + got, n - got, &clean);
        CHECK(more > 0);
    }
}

static void give(unsigned kind, unsigned n) {
    stackpool_give(kind, lows, n, "goalloc_stack_free");
    CHECK(stackpool_is_valid());
}

static void *take_one(unsigned kind, bool *clean) {
    void *low = NULL;
    CHECK(stackpool_take(kind, &low, 1, clean) == 1);
    return low;
}

static void give_one(unsigned kind, void *low) {
    stackpool_give(kind, &low, 1, "goalloc_stack_free");
}

static void write_all(unsigned kind, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        fill(lows[i], stack_size(kind), i);
    }
}

/* A guarded stack is no smaller than the system's page. */
static unsigned first_guarded(void) {
    return stack_kind(os_page_size(), true);
}

static bool exists(unsigned kind) {
    return stack_guard(kind) <= stack_size(kind);
}

/* ---- kinds ---- */

static void kinds_cover_all_sizes(void **state) {
    (void)state;
    for (size_t size = 1; size <= STACK_MOST; size += 1 + size / 9) {
        unsigned kind = stack_kind(size, false);
        assert_true(kind < STACK_KINDS && kind % 2 == 0 && stack_size(kind) >= size);
        assert_true(kind == 0 || stack_size(kind) / 2 < size);
        assert_int_equal(stack_kind(size, true), kind + 1);
    }
    assert_int_equal(stack_size(0), 2048);
    assert_int_equal(stack_size(STACK_SMALL_KINDS), 32768);
    assert_int_equal(STACK_MOST, GIB);
    assert_int_equal(stack_kind(STACK_MOST, true), STACK_KINDS - 1);
}

static void bounds(unsigned kind) {
    size_t size = stack_size(kind), guard = stack_guard(kind);
    assert_int_equal(size & (size - 1), 0);
    assert_int_equal(stack_kind(size, guard != 0), kind);
    assert_int_equal(stack_stride(kind), size + guard);
    assert_true(guard == (kind % 2 != 0 ? os_page_size() : 0));
}

static void sizes_and_strides(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < STACK_KINDS; kind++) {
        bounds(kind);
    }
}

/* ---- from address to stack ---- */

/* Of all addresses in the span, just the lows of its stacks are found. */
static void check_index(unsigned kind, const struct span *span) {
    size_t stride = stack_stride(kind), guard = stack_guard(kind), starts = 0;
    size_t step = max_size(16, min_size(stack_size(kind) / 4096, os_page_size()));
    for (size_t at = 0; at < span_bytes(span); at += step) {
        bool start = at % stride == guard && at / stride < span->objects;
        const struct span *found = stack_span((void *)(span->base + at));
        CHECK(found == (start ? span : NULL));
        CHECK(stack_span((void *)(span->base + at + 8)) == NULL);
        starts += start;
    }
    CHECK(starts == span->objects);
}

static void use_kind(unsigned kind) {
    size_t size = stack_size(kind), ends = min_size(size, 64 * KIB);
    unsigned n = size <= 64 * KIB ? 70 : 2;
    take(kind, n);
    for (unsigned i = 0; i < n; i++) {
        const struct span *span = stack_span(lows[i]);
        CHECK(span != NULL && stack_span_kind(span) == kind && is_aligned_to(lows[i], 16));
        CHECK((uintptr_t)lows[i] + size <= span->base + span_bytes(span));
        CHECK((uintptr_t)lows[i] - stack_guard(kind) >= span->base);
        check_index(kind, span);
        fill(lows[i], ends, i);
        fill((char *)lows[i] + size - ends, ends, i);
    }
    for (unsigned i = 0; i < n; i++) {
        CHECK(is_filled((char *)lows[i] + size - ends, ends, i));
    }
    struct stackpool_stats stats = stackpool_get_stats();
    CHECK(stats.out == n && stats.out_bytes == n * size);
    give(kind, n);
}

TEST_IN_CHILD(every_kind) {
    (void)unused;
    for (unsigned kind = 0; kind < STACK_KINDS && stack_size(kind) <= 64 * MIB; kind++) {
        if (exists(kind)) {
            use_kind(kind);
            stackpool_release();
            CHECK(mheap_get_stats().in_use == 0 && stackpool_get_stats().free == 0);
        }
    }
    CHECK(stack_span(NULL) == NULL && stack_span(lows) == NULL && mheap_is_valid());
}

TEST_IN_CHILD(blocks_are_no_stacks) {
    (void)unused;
    struct span *span = mheap_alloc_large(MIB, PAGE_SIZE, MHEAP_ANY);
    CHECK(span != NULL && stack_span((void *)span->base) == NULL);
    mheap_free(span);
}

/* ---- where stacks go ---- */

TEST_IN_CHILD(empty_spans_go_back) {
    (void)unused;
    for (unsigned kind = 0; kind < STACK_SMALL_KINDS; kind += 2) {
        take(kind, 64);
        size_t all = mheap_get_stats().in_use, span = span_bytes(stack_span(lows[0]));
        CHECK(all >= 64 * stack_size(kind) && all % span == 0);
        give(kind, 64);
        CHECK(mheap_get_stats().in_use == span);
        stackpool_release();
        CHECK(mheap_get_stats().in_use == 0);
    }
}

/* Guarded and large ones are kept until a trim finds them idle twice. */
TEST_IN_CHILD(expensive_spans_stay_a_while) {
    const unsigned kinds[] = {first_guarded(), stack_kind(64 * KIB, false),
                              stack_kind(64 * KIB, true)};
    (void)unused;
    for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
        take(kinds[i], 16);
        size_t all = mheap_get_stats().in_use;
        give(kinds[i], 16);
        CHECK(mheap_get_stats().in_use == all);
        stackpool_trim();
        CHECK(mheap_get_stats().in_use == all);
        take(kinds[i], 1);
        give(kinds[i], 1);
        stackpool_trim();
        CHECK(mheap_get_stats().in_use == span_bytes(stack_span(lows[0])));
        stackpool_trim();
        CHECK(mheap_get_stats().in_use == 0);
    }
}

/* The stack that costs memory already comes before those that do not. */
TEST_IN_CHILD(used_stacks_come_first) {
    bool clean;
    (void)unused;
    void *a = take_one(0, &clean);
    CHECK(clean && is_zero(a, stack_size(0)));
    void *b = take_one(0, &clean), *c = take_one(0, &clean);
    CHECK(clean && a != b && b != c);
    give_one(0, b);
    CHECK(take_one(0, &clean) == b && !clean);
}

/* ---- memory ---- */

/* Of each span all but one stack are free and were written to. */
static void leave_one_a_span(unsigned kind, unsigned n) {
    take(kind, n);
    write_all(kind, n);
    for (unsigned i = 0; i < n; i++) {
        const struct span *span = stack_span(lows[i]);
        if ((uintptr_t)lows[i] != stack_low(span, 0)) {
            give_one(kind, lows[i]);
            lows[i] = NULL;
        }
    }
}

static size_t resident(unsigned kind) {
    return resident_pages((void *)arenas[0].base, arena_opened(&arenas[0])) * os_page_size() -
           stackpool_get_stats().out * max_size(stack_size(kind), os_page_size());
}

/* qemu-user counts the pages of the machine, whatever it gives the program. */
static void skip_where_pages_do_not_count(void) {
    skip_where_nothing_goes_back();
    if (os_page_size() > 16 * KIB || (os_page_size() > 4 * KIB && takes_any_advice())) {
        skip_child("stacks are smaller than pages here, or mincore counts others");
    }
}

static void check_given_back(unsigned kind, void (*give_back)(void)) {
    const unsigned n = 320;
    skip_where_pages_do_not_count();
    leave_one_a_span(kind, n);
    CHECK(resident(kind) > n / 2 * stack_size(kind));
    give_back();
    CHECK(resident(kind) == 0 && stackpool_is_valid());
    for (unsigned i = 0; i < n; i++) {
        CHECK(lows[i] == NULL || is_filled(lows[i], stack_size(kind), i));
    }
}

TEST_IN_CHILD(release_gives_all_back) {
    (void)unused;
    check_given_back(stack_kind(16 * KIB, false), stackpool_release);
}

static void trim_twice(void) {
    stackpool_trim();
    CHECK(resident(stack_kind(16 * KIB, false)) > 0);
    stackpool_trim();
}

TEST_IN_CHILD(trim_gives_back_what_was_idle) {
    (void)unused;
    check_given_back(stack_kind(16 * KIB, false), trim_twice);
}

/* Two stacks share a page: it goes back as soon as both are idle, also when one was not used since
 * it went back the last time. */
TEST_IN_CHILD(shared_pages_go_back) {
    bool clean;
    (void)unused;
    skip_where_pages_do_not_count();
    void *keep = take_one(0, &clean);
    for (unsigned i = 0; i < 14; i++) {
        lows[i] = take_one(0, &clean);
        memset(lows[i], 1, stack_size(0));
    }
    for (unsigned round = 0; round < 2; round++) {
        give(0, round == 0 ? 14 : 1);
        stackpool_release();
        size_t pages = resident_pages((void *)arenas[0].base, arena_opened(&arenas[0]));
        CHECK(pages <= max_size(4 * KIB, os_page_size()) / os_page_size());
        lows[0] = take_one(0, &clean);
        lows[1] = take_one(0, &clean);
        CHECK(!clean || is_zero(lows[1], stack_size(0)));
        give_one(0, lows[0]);
        lows[0] = lows[1];
        memset(lows[0], 1, stack_size(0));
    }
    memset(keep, 1, stack_size(0));
}

/* Whatever went before, a stack that is said to be clean reads as zero. */
TEST_IN_CHILD(clean_is_true) {
    uint64_t seed = 3;
    unsigned cleans = 0;
    (void)unused;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned at = (unsigned)random_below(&seed, 40);
        unsigned kind = at % STACK_SMALL_KINDS & ~1U;
        bool clean;
        if (lows[at] != NULL) {
            give_one(kind, lows[at]);
            lows[at] = NULL;
        } else {
            lows[at] = take_one(kind, &clean);
            CHECK(!clean || is_zero(lows[at], stack_size(kind)));
            cleans += clean;
            memset(lows[at], 1, stack_size(kind));
        }
        if (i % 100 == 0) {
            stackpool_trim();
        }
    }
    CHECK(cleans > 0 && stackpool_is_valid());
}

/* ---- guards ---- */

/* Makes the system refuse to mark guards, as older ones do. */
static void refuse_marks(void) {
    enum { GUARD_INSTALL = 102 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GUARD_INSTALL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(code), code};
    bool refused = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (!refused && !takes_any_advice()) {
        skip_child("no seccomp here");
    }
}

struct touch {
    unsigned kind;
    unsigned index;
    bool split;
    bool again; /* the stack was used and given back before */
};

static void touch_guard(const void *argument) {
    const struct touch *touch = argument;
    if (touch->split) {
        refuse_marks();
    }
    take(touch->kind, 8);
    if (touch->again) {
        write_all(touch->kind, 8);
        give(touch->kind, 8);
        stackpool_trim();
        take(touch->kind, 8);
    }
    volatile char *low = lows[touch->index];
    *low = 1;
    low[-1] = 1;
}

static void touching_a_guard_kills(void **state) {
    const unsigned kinds[] = {first_guarded(), stack_kind(64 * KIB, true)};
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct touch touch = {kinds[i % 2], i / 2 % 2 * 7, i / 4 % 2 != 0, i / 8 != 0};
        struct child child;
        run_child(&child, touch_guard, &touch);
        if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == CHILD_SKIPPED) {
            continue;
        }
        assert_string_equal(child.text, "");
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
    }
}

/* The whole span, guards included, is ordinary memory once it is the heap's again. */
static void check_writable_afterwards(void) {
    for (unsigned kind = first_guarded(); stack_size(kind) <= MIB; kind += 2) {
        take(kind, 4);
        const struct span *span = stack_span(lows[0]);
        uintptr_t base = span->base;
        size_t bytes = span_bytes(span);
        give(kind, 4);
        stackpool_release();
        CHECK(stackpool_get_stats().guards == 0);
        struct span *block = mheap_alloc_large(bytes, PAGE_SIZE, MHEAP_ANY);
        CHECK(block != NULL && block->base <= base);
        fill((void *)block->base, bytes, kind);
        mheap_free(block);
    }
}

TEST_IN_CHILD(marks_are_removed) {
    (void)unused;
    check_writable_afterwards();
}

TEST_IN_CHILD(splits_are_removed) {
    (void)unused;
    refuse_marks();
    take(first_guarded(), 9);
    CHECK(stackpool_get_stats().guards == 9);
    give(first_guarded(), 9);
    CHECK(stackpool_get_stats().guards == 9);
    check_writable_afterwards();
}

TEST_IN_CHILD(a_guard_is_made_once) {
    (void)unused;
    refuse_marks();
    for (unsigned round = 0; round < 20; round++) {
        take(first_guarded(), 4);
        CHECK(stackpool_get_stats().guards == 4);
        give(first_guarded(), 4);
    }
}

/* At the cap there is no stack, what was taken is usable, and all of it can be given back. */
TEST_IN_CHILD(guards_are_capped) {
    static void *all[1 << 20];
    unsigned kind = first_guarded(), n = 0;
    bool clean;
    (void)unused;
    refuse_marks();
    size_t most = stackpool_get_stats().guards_most;
    CHECK(most == os_mappings_most() / 4);
    if (most + 1 > COUNT_OF(all)) {
        skip_child("this system allows very many mappings");
    }
    while (stackpool_take(kind, &all[n], 1, &clean) == 1) {
        *(volatile char *)all[n++] = 1;
    }
    CHECK(n == most && stackpool_get_stats().guards == most);
    CHECK(stackpool_take(kind, lows, 3, &clean) == 0 && stackpool_is_valid());
    give_one(kind, all[--n]);
    CHECK(stackpool_take(kind, lows, 3, &clean) == 1 && lows[0] == all[n]);
    CHECK(stackpool_get_stats().out == most);
    stackpool_give(kind, all, n + 1, "goalloc_stack_free");
    stackpool_release();
    CHECK(stackpool_get_stats().guards == 0 && mheap_get_stats().in_use == 0);
}

/* ---- refusals ---- */

TEST_IN_CHILD(without_memory) {
    bool clean;
    (void)unused;
    limit_address_space(24 * MIB);
    for (unsigned kind = 0; kind < STACK_KINDS && stack_size(kind) <= 4 * MIB; kind++) {
        unsigned n = 0;
        size_t size = max_size(stack_size(kind), 256 * KIB);
        if (!exists(kind) || stack_size(kind) < size) {
            continue;
        }
        while (n < MANY && stackpool_take(kind, &lows[n], 1, &clean) == 1) {
            *(volatile char *)lows[n++] = 1;
        }
        CHECK(n > 0 && n < MANY && stackpool_get_stats().out == n);
        give(kind, n);
        stackpool_release();
        CHECK(mheap_get_stats().in_use == 0 && stackpool_get_stats().free == 0);
    }
    CHECK(stackpool_take(STACK_KINDS - 1, lows, 1, &clean) == 0 && stackpool_is_valid());
}

static void give_twice(const void *argument) {
    unsigned kind = *(const unsigned *)argument;
    take(kind, 3);
    fprintf(stderr, "%p\n", lows[1]);
    lows[2] = lows[1];
    stackpool_give(kind, lows, 3, "goalloc_stack_free");
}

/* The second time its span is no longer there. */
static void give_after_release(const void *argument) {
    unsigned kind = *(const unsigned *)argument;
    take(kind, 3);
    fprintf(stderr, "%p\n", lows[0]);
    give(kind, 3);
    stackpool_release();
    stackpool_give(kind, lows, 3, "goalloc_stack_free");
}

static void giving_twice_is_fatal(void **state) {
    const unsigned kinds[] = {0, first_guarded(), stack_kind(64 * KIB, false)};
    (void)state;
    for (unsigned i = 0; i < 2 * COUNT_OF(kinds); i++) {
        char want[200];
        struct child child;
        unsigned kind = kinds[i / 2];
        run_child(&child, i % 2 == 0 ? give_twice : give_after_release, &kind);
        int length = (int)strcspn(child.text, "\n");
        snprintf(want, sizeof want,
                 "goalloc: goalloc_stack_free(%.*s): double free of a stack of %zu bytes\n", length,
                 child.text, stack_size(kind));
        assert_string_equal(child.text + length + 1, want);
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    }
}

/* ---- threads and forks ---- */

static atomic_bool stop;

static void take_and_give(unsigned index) {
    void *mine[8];
    bool clean;
    unsigned kind = index % 2 == 0 ? 0 : first_guarded();
    for (unsigned i = 0; i < CALLS; i++) {
        unsigned n = stackpool_take(kind, mine, COUNT_OF(mine), &clean);
        for (unsigned at = 0; at < n; at++) {
            fill(mine[at], 64, index);
        }
        for (unsigned at = 0; at < n; at++) {
            CHECK(is_filled(mine[at], 64, index));
        }
        stackpool_give(kind, mine, n, "goalloc_stack_free");
        if (i % 20 == 0) {
            stackpool_release();
        }
    }
}

TEST_IN_CHILD(many_threads) {
    (void)unused;
    run_threads(THREADS, take_and_give);
    CHECK(stackpool_get_stats().out == 0 && stackpool_is_valid());
    stackpool_release();
    CHECK(mheap_get_stats().in_use == 0);
}

static void hold_locks(void) {
    void *mine[8];
    bool clean;
    while (!atomic_load(&stop)) {
        unsigned n = stackpool_take(0, mine, COUNT_OF(mine), &clean);
        stackpool_give(0, mine, n, "goalloc_stack_free");
    }
}

/* All that the child finds in its pools can be used and given back. */
static void use_inherited(void) {
    bool clean;
    CHECK(stackpool_is_valid());
    for (unsigned i = 0; i < MANY; i++) {
        lows[i] = take_one(0, &clean);
        CHECK(stack_span(lows[i]) != NULL);
        CHECK(!clean || is_zero(lows[i], stack_size(0)));
        fill(lows[i], stack_size(0), i);
    }
    for (unsigned i = 0; i < MANY; i++) {
        CHECK(is_filled(lows[i], stack_size(0), i));
    }
    give(0, MANY);
}

static void fork_or_hold(unsigned index) {
    if (index > 0) {
        hold_locks();
        return;
    }
    run_forks(FORKS, use_inherited);
    atomic_store(&stop, true);
}

/* A span that another thread was about to add is in the page tables, with nothing of it that the
 * pool itself sets. */
TEST_IN_CHILD(forks_while_locks_are_held) {
    (void)unused;
    for (unsigned i = 0; i < HALF_MADE; i++) {
        CHECK(mheap_alloc_stacks(32 * KIB, 0, 16) != NULL);
    }
    run_threads(THREADS, fork_or_hold);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_cover_all_sizes),
        cmocka_unit_test(sizes_and_strides),
        cmocka_unit_test(every_kind),
        cmocka_unit_test(blocks_are_no_stacks),
        cmocka_unit_test(empty_spans_go_back),
        cmocka_unit_test(expensive_spans_stay_a_while),
        cmocka_unit_test(used_stacks_come_first),
        cmocka_unit_test(release_gives_all_back),
        cmocka_unit_test(trim_gives_back_what_was_idle),
        cmocka_unit_test(shared_pages_go_back),
        cmocka_unit_test(clean_is_true),
        cmocka_unit_test(touching_a_guard_kills),
        cmocka_unit_test(marks_are_removed),
        cmocka_unit_test(splits_are_removed),
        cmocka_unit_test(a_guard_is_made_once),
        cmocka_unit_test(guards_are_capped),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(giving_twice_is_fatal),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(forks_while_locks_are_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
