/* Chains of frames that a test makes: good ones, and each way in which one can be broken. None may
 * crash or hang. */
#include "support.h"

#include <string.h>
#include <sys/mman.h>

#include "base.h"
#include "unwind.h"

struct fake {
    const void *caller;
    uintptr_t pc;
};

static struct fake frames[40] __attribute__((aligned(16)));

static unsigned depth(const struct backtrace *stack) {
    unsigned n = 0;
    while (n < BACKTRACE_MOST && stack->pc[n] != 0) {
        n++;
    }
    return n;
}

static void chain(unsigned n) {
    memset(frames, 0, sizeof frames);
    for (unsigned i = 0; i < n; i++) {
        frames[i] = (struct fake){i + 1 < n ? &frames[i + 1] : NULL, 0x10000 + i};
    }
}

static void follows_a_chain(void **state) {
    struct backtrace stack;
    (void)state;
    chain(5);
    unwind(&frames[0], &stack);
    assert_int_equal(depth(&stack), 5);
    assert_int_equal(stack.pc[0], 0x10000);
    assert_int_equal(stack.pc[4], 0x10004);
    unwind_from(0x77777, &frames[3], &stack);
    assert_int_equal(depth(&stack), 3);
    assert_int_equal(stack.pc[0], 0x77777);
    assert_int_equal(stack.pc[1], 0x10003);
}

static void stops_when_it_is_full(void **state) {
    struct backtrace stack;
    (void)state;
    chain(COUNT_OF(frames));
    unwind(&frames[0], &stack);
    assert_int_equal(depth(&stack), BACKTRACE_MOST);
}

static unsigned depth_with(const void *third) {
    struct backtrace stack;
    chain(5);
    frames[2].caller = third;
    unwind(&frames[0], &stack);
    return depth(&stack);
}

static void stops_at_what_cannot_be(void **state) {
    char *page = mmap(NULL, 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_int_equal(depth_with(&frames[3]), 5);
    assert_int_equal(depth_with(&frames[2]), 3); /* itself */
    assert_int_equal(depth_with(&frames[0]), 3); /* downwards */
    assert_int_equal(depth_with((char *)&frames[3] + 8), 3);
    assert_int_equal(depth_with((char *)&frames[3] + 1), 3);
    assert_int_equal(depth_with((const void *)((uintptr_t)&frames[3] + 2 * MIB)), 3); /* too far */
    assert_int_equal(depth_with((const void *)UINTPTR_MAX), 3);
    assert_int_equal(depth_with(NULL), 3);
    frames[0].pc = 0;
    struct backtrace stack;
    unwind(&frames[0], &stack);
    assert_int_equal(depth(&stack), 0);
    unwind(page, &stack); /* nothing can be read there */
    assert_int_equal(depth(&stack), 0);
    unwind(NULL, &stack);
    assert_int_equal(depth(&stack), 0);
}

static void print_own(const void *unused) {
    struct backtrace stack;
    (void)unused;
    unwind_from((uintptr_t)&print_own, NULL, &stack);
    unwind_print(&stack);
}

static void prints_file_and_offset(void **state) {
    struct child child;
    (void)state;
    run_child(&child, print_own, NULL);
    assert_int_equal(child.status, 0);
    assert_non_null(strstr(child.text, "goalloc:     0x"));
    assert_non_null(strstr(child.text, "unit_unwind+0x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_a_chain),
        cmocka_unit_test(stops_when_it_is_full),
        cmocka_unit_test(stops_at_what_cannot_be),
        cmocka_unit_test(prints_file_and_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
