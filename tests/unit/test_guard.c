/* Blocks between inaccessible pages: where they lie, what faults, what is said then and who is
 * asked after that. */
#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "mheap.h"
#include "options.h"
#include "os.h"

static char *new_block(size_t size, size_t align, enum guard_side side) {
    bool needs_zero;
    char *block = guard_alloc(size, align, side, __builtin_frame_address(0), &needs_zero);
    CHECK(block != NULL);
    CHECK(guard_owns(block));
    CHECK(is_aligned_to(block, align));
    CHECK(guard_usable_size("usable", block) == size);
    memset(block, 1, size);
    return block;
}

static void free_block(void *block) {
    guard_free("free", block, __builtin_frame_address(0));
}

TEST_IN_CHILD(both_sides) {
    (void)unused;
    for (size_t size = 0; size < 3 * MIB; size = size * 3 + 1) {
        for (size_t align = 8; align <= 64 * KIB; align *= 8) {
            char *behind = new_block(size, align, GUARD_BEHIND);
            char *before = new_block(size, align, GUARD_BEFORE);
            size_t page = os_page_size();
            CHECK(align_up((uintptr_t)behind + size, page) - (uintptr_t)behind - size <= align ||
                  align > page);
            CHECK((uintptr_t)before % page == 0);
            free_block(behind);
            free_block(before);
            CHECK(guard_owns(behind) && guard_owns(before));
        }
    }
    CHECK(guard_freed_bytes() > 0 && mheap_is_valid());
}

TEST_IN_CHILD(slots_are_limited) {
    bool needs_zero;
    void *block[4];
    (void)unused;
    options.guard_slots = 8;
    for (unsigned i = 0; i < COUNT_OF(block); i++) {
        block[i] = new_block(100, 16, GUARD_BEHIND);
    }
    CHECK(guard_alloc(100, 16, GUARD_BEHIND, __builtin_frame_address(0), &needs_zero) == NULL);
    for (unsigned i = 0; i < COUNT_OF(block); i++) {
        free_block(block[i]);
    }
    void *fifth = new_block(100, 16, GUARD_BEHIND);
    CHECK(guard_owns(block[0]));
    free_block(fifth);
    CHECK(!guard_owns(block[0]) && guard_owns(block[1])); /* the oldest made way */
}

TEST_IN_CHILD(grows_and_shrinks) {
    (void)unused;
    char *block = new_block(100000, 16, GUARD_BEFORE);
    CHECK(guard_resize("realloc", block, 104000));
    memset(block, 2, 104000);
    CHECK(guard_resize("realloc", block, 40000) && guard_usable_size("usable", block) == 40000);
    CHECK(guard_resize("realloc", block, 100000));
    memset(block, 3, 100000);
    CHECK(!guard_resize("realloc", block, MIB));
    free_block(block);
}

TEST_IN_CHILD(zero_where_it_says_so) {
    (void)unused;
    for (unsigned i = 0; i < 100; i++) {
        bool needs_zero;
        char *block = guard_alloc(5000, 16, GUARD_BEHIND, __builtin_frame_address(0), &needs_zero);
        CHECK(needs_zero || is_zero(block, 5000));
        memset(block, 1, 5000);
        free_block(block);
    }
}

/* ---- faults ---- */

struct access {
    int offset; /* in a block of 64 bytes */
    bool write;
    bool freed;
    enum guard_side side;
    const char *text;
};

static void make(const struct access *access) {
    volatile char *block = new_block(64, 16, access->side);
    if (access->freed) {
        free_block((void *)block);
    }
    if (access->write) {
        block[access->offset] = 1;
    } else {
        (void)block[access->offset];
    }
}

/* qemu-user does not tell which it was. */
#ifdef __x86_64__
static const char write_at[] = ": write at 0x", read_at[] = ": read at 0x";
#else
static const char write_at[] = " at 0x", read_at[] = " at 0x";
#endif

static void make_access(const void *access) {
    make(access);
}

static void reports(void **state) {
    static const struct access cases[] = {
        {64, true, false, GUARD_BEHIND, "goalloc: overflow: "},
        {64, false, false, GUARD_BEHIND, "goalloc: overflow: "},
        {-1, true, false, GUARD_BEFORE, "goalloc: underflow: "},
        {5, true, true, GUARD_BEHIND, "goalloc: use after free: "},
        {5, false, true, GUARD_BEFORE, "goalloc: use after free: "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct child child;
        run_child(&child, make_access, &cases[i]);
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
        assert_non_null(strstr(child.text, cases[i].text));
        assert_non_null(strstr(child.text, cases[i].write ? write_at : read_at));
        assert_non_null(strstr(child.text, "goalloc:   allocated by thread "));
        assert_int_equal(strstr(child.text, "goalloc:   freed by thread ") != NULL, cases[i].freed);
    }
}

static void end_with_43(int signal) {
    (void)signal;
    _exit(43);
}

static void end_with_44(int signal, siginfo_t *info, void *context) {
    (void)signal;
    _exit(info->si_addr != NULL && context != NULL ? 44 : 1);
}

/* Installed before the first guarded block, or between the first two. */
static void with_handler(const void *argument) {
    static const struct access access = {64, true, false, GUARD_BEHIND, NULL};
    struct sigaction action = {.sa_sigaction = end_with_44, .sa_flags = SA_SIGINFO};
    if (*(const int *)argument == 43) {
        signal(SIGSEGV, end_with_43);
    } else {
        new_block(64, 16, GUARD_BEHIND);
        sigaction(SIGSEGV, &action, NULL);
    }
    make(&access);
}

static void own_handlers_come_next(void **state) {
    static const int codes[] = {43, 44};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        struct child child;
        run_child(&child, with_handler, &codes[i]);
        assert_true(WIFEXITED(child.status) && WEXITSTATUS(child.status) == codes[i]);
        assert_non_null(strstr(child.text, "goalloc: overflow: "));
    }
}

/* What crash handlers do before they let the process end. */
enum style { ONCE, CALL_PREVIOUS, RESTORE_PREVIOUS, RESTORE_AND_RAISE, STYLES };

static enum style style;
static struct sigaction previous;

static void handle(int signal, siginfo_t *info, void *context) {
    static int calls;
    if (++calls > 100) {
        _exit(45);
    }
    if (style == CALL_PREVIOUS) {
        previous.sa_sigaction(signal, info, context);
    } else if (style != ONCE) {
        sigaction(signal, &previous, NULL);
    }
    if (style == RESTORE_AND_RAISE) {
        raise(signal);
    }
}

/* Ours is there first, theirs is found by a further block. */
static void crash_with_handler(const void *argument) {
    static const struct access access = {64, true, false, GUARD_BEHIND, NULL};
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    style = *(const enum style *)argument;
    action.sa_flags |= style == ONCE ? (int)SA_RESETHAND : 0;
    new_block(64, 16, GUARD_BEHIND);
    sigaction(SIGSEGV, &action, &previous);
    make(&access);
}

static void crash_handlers_end(void **state) {
    (void)state;
    for (enum style i = ONCE; i < STYLES; i++) {
        struct child child;
        run_child(&child, crash_with_handler, &i);
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
        const char *first = strstr(child.text, "goalloc: overflow: ");
        assert_true(first != NULL && strstr(first + 1, "goalloc: overflow: ") == NULL);
    }
}

static void fault_elsewhere(const void *unused) {
    (void)unused;
    new_block(64, 16, GUARD_BEHIND);
    volatile uintptr_t nowhere = 8;
    *(volatile char *)nowhere = 1;
}

static void send_signal(const void *unused) {
    (void)unused;
    new_block(64, 16, GUARD_BEHIND);
    kill(getpid(), SIGSEGV);
}

static void a_signal_that_was_sent_ends_the_process(void **state) {
    struct child child;
    (void)state;
    run_child(&child, send_signal, NULL);
    assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
    assert_int_equal(child.length, 0);
}

static void other_faults_are_none_of_its_business(void **state) {
    struct child child;
    (void)state;
    run_child(&child, fault_elsewhere, NULL);
    assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
    assert_int_equal(child.length, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides),
        cmocka_unit_test(slots_are_limited),
        cmocka_unit_test(grows_and_shrinks),
        cmocka_unit_test(zero_where_it_says_so),
        cmocka_unit_test(reports),
        cmocka_unit_test(own_handlers_come_next),
        cmocka_unit_test(crash_handlers_end),
        cmocka_unit_test(other_faults_are_none_of_its_business),
        cmocka_unit_test(a_signal_that_was_sent_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
