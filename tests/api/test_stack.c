/*
 * Contract of goalloc_stack.h: sizes and errors, bounds, flags, what may be freed and retired by
 * whom and when, statistics.
 */
#include "support.h"

#include <goalloc_stack.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../examples/context.h"

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t size_of(struct goalloc_stack stack) {
    return (size_t)((char *)stack.high - (char *)stack.low);
}

static struct goalloc_stack alloc(size_t size, unsigned flags) {
    struct goalloc_stack stack;
    KEEPS_ERRNO(stack = goalloc_stack_alloc(size, flags));
    assert_non_null(stack.low);
    assert_true(is_aligned(stack.low, 16) && is_aligned(stack.high, 16));
    assert_true(size_of(stack) >= size);
    return stack;
}

static struct goalloc_stack_stats get_stats(void) {
    struct goalloc_stack_stats stats;
    KEEPS_ERRNO(goalloc_stack_get_stats(&stats));
    return stats;
}

/* The sizes that are powers of two, one less and one more. */
static size_t size_at(unsigned i) {
    return ((size_t)1 << (i / 3 + 4)) + i % 3 - 1;
}

enum { SIZES = 3 * 20 }; /* up to 8 MiB and one */

/* ---- sizes ---- */

static void test_sizes(void **state) {
    (void)state;
    for (unsigned i = 0; i < SIZES; i++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            size_t size = size_at(i), got;
            struct goalloc_stack stack = alloc(size, flags);
            got = size_of(stack);
            assert_int_equal(got & (got - 1), 0);
            assert_true(got < 2 * size || got == 2048 || got == page_size());
            KEEPS_ERRNO(goalloc_stack_free(stack.low));
        }
    }
}

static void test_named_sizes(void **state) {
    const struct {
        size_t size;
        size_t want;
    } cases[] = {{1, 2048},
                 {2048, 2048},
                 {2049, 4096},
                 {16 * KIB, 16 * KIB},
                 {16 * KIB + 1, 32 * KIB},
                 {GIB / 2 + 1, GIB},
                 {GIB, GIB}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct goalloc_stack stack = alloc(cases[i].size, 0);
        assert_int_equal(size_of(stack), cases[i].want);
        *(volatile char *)stack.low = 1;
        ((volatile char *)stack.high)[-1] = 1;
        goalloc_stack_free(stack.low);
    }
}

static void test_errors(void **state) {
    (void)state;
    FAILS_WITH(EINVAL, goalloc_stack_alloc(0, 0).low);
    FAILS_WITH(EINVAL, goalloc_stack_alloc(0, GOALLOC_STACK_GUARD).low);
    FAILS_WITH(EINVAL, goalloc_stack_alloc(GIB + 1, 0).low);
    FAILS_WITH(EINVAL, goalloc_stack_alloc(SIZE_MAX, 0).low);
    FAILS_WITH(EINVAL, goalloc_stack_alloc(2048, 4).low);
    FAILS_WITH(EINVAL, goalloc_stack_alloc(2048, ~0U).low);
    goalloc_stack_free(alloc(2048, 0).low); /* now that there is a cache */
    FAILS_WITH(EINVAL, goalloc_stack_alloc(0, 0).low);
    FAILS_WITH(EINVAL, goalloc_stack_alloc(2048, 4 | GOALLOC_STACK_GUARD).low);
}

static void test_null(void **state) {
    (void)state;
    KEEPS_ERRNO(goalloc_stack_free(NULL));
    KEEPS_ERRNO(goalloc_stack_retire(NULL));
    KEEPS_ERRNO(goalloc_stack_flush());
}

/* In a child: 1 GiB stacks until there is no address space left. */
static void test_no_memory(void **state) {
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {4 * GIB, 4 * GIB};
        setrlimit(RLIMIT_AS, &limit);
        struct goalloc_stack stack;
        unsigned n = 0;
        do {
            errno = ERRNO_SENTINEL;
            stack = goalloc_stack_alloc(GIB, n++ % 2);
        } while (stack.low != NULL && n < 8);
        bool refused = stack.low == NULL && stack.high == NULL && errno == ENOMEM;
        _exit(refused && goalloc_stack_alloc(2048, 0).low != NULL ? 0 : 1 + (n == 8));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        skip(); /* qemu-user has no such limit */
    }
    assert_int_equal(status, 0);
}

/* ---- contents ---- */

static void test_bounds(void **state) {
    static struct goalloc_stack stacks[SIZES * 4];
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(stacks); i++) {
        stacks[i] = alloc(size_at(i % SIZES), i / SIZES);
        fill(stacks[i].low, size_of(stacks[i]), i);
    }
    for (unsigned i = 0; i < COUNT_OF(stacks); i++) {
        assert_filled(stacks[i].low, size_of(stacks[i]), i);
        goalloc_stack_free(stacks[i].low);
    }
}

static void test_zero(void **state) {
    static struct goalloc_stack stacks[40];
    (void)state;
    for (unsigned i = 0; i < SIZES * 4; i++) {
        size_t size = size_at(i % SIZES);
        unsigned flags = GOALLOC_STACK_ZERO | (i / SIZES & GOALLOC_STACK_GUARD);
        unsigned n = size <= 64 * KIB ? COUNT_OF(stacks) : 2;
        for (unsigned k = 0; k < n; k++) {
            stacks[k] = alloc(size, flags);
            assert_zero(stacks[k].low, size_of(stacks[k]));
            memset(stacks[k].low, 1, size_of(stacks[k]));
        }
        for (unsigned k = 0; k < n; k++) {
            goalloc_stack_free(stacks[k].low);
        }
    }
}

static void assert_guard_kills(size_t size, size_t below) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        struct goalloc_stack stack = goalloc_stack_alloc(size, GOALLOC_STACK_GUARD);
        memset(stack.low, 1, size_of(stack));
        ((volatile char *)stack.low)[-(ptrdiff_t)below] = 1;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_guard(void **state) {
    const size_t sizes[] = {1, 4096, 8192, 16 * KIB, 64 * KIB, MIB};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct goalloc_stack stack = alloc(sizes[i], GOALLOC_STACK_GUARD);
        assert_true(size_of(stack) >= page_size() && is_aligned(stack.low, page_size()));
        goalloc_stack_free(stack.low);
        assert_guard_kills(sizes[i], 1);
        assert_guard_kills(sizes[i], page_size());
    }
}

/* ---- statistics ---- */

static void test_stats(void **state) {
    static struct goalloc_stack stacks[100];
    (void)state;
    goalloc_stack_flush();
    struct goalloc_stack_stats before = get_stats();
    size_t allocated = allocated_bytes(), bytes = 0;
    for (unsigned i = 0; i < COUNT_OF(stacks); i++) {
        stacks[i] = alloc((size_t)2048 << i % 8, i % 3 == 0 ? GOALLOC_STACK_GUARD : 0);
        bytes += size_of(stacks[i]);
        assert_int_equal(get_stats().stacks, before.stacks + i + 1);
        assert_int_equal(get_stats().bytes, before.bytes + bytes);
    }
    assert_int_equal(allocated_bytes(), allocated + bytes);
    for (unsigned i = 0; i < COUNT_OF(stacks); i++) {
        goalloc_stack_free(stacks[i].low);
    }
    struct goalloc_stack_stats after = get_stats();
    assert_int_equal(after.stacks, before.stacks);
    assert_int_equal(after.bytes, before.bytes);
    assert_true(after.free_stacks > 0 && after.free_bytes >= 2048 * after.free_stacks);
    assert_true(after.guards <= after.guards_most && after.guards_most > 0);
    assert_int_equal(allocated_bytes(), allocated);
    goalloc_stack_flush();
    TRIM(0);
    assert_int_equal(get_stats().free_stacks, 0);
    assert_int_equal(get_stats().guards, 0);
}

static void test_resident(void **state) {
    enum { STACKS = 1000 };
    static struct goalloc_stack stacks[STACKS];
    (void)state;
    size_t before = resident_bytes();
    for (unsigned i = 0; i < STACKS; i++) {
        stacks[i] = alloc(64 * KIB, GOALLOC_STACK_GUARD);
        memset(stacks[i].low, 1, size_of(stacks[i]));
    }
    assert_true(resident_bytes() >= before + STACKS * 60 * KIB);
    for (unsigned i = 0; i < STACKS; i++) {
        goalloc_stack_free(stacks[i].low);
    }
    int given_back = TRIM(0);
    assert_true(!given_back || resident_bytes() < before + 4 * MIB);
}

/* ---- retiring ---- */

static struct context home, away;
static struct goalloc_stack running;

static void go(void (*body)(void)) {
    context_make(&away, running.low, running.high, body);
    context_switch(&home, &away);
}

static void retire_and_leave(void) {
    context_begin(&home);
    goalloc_stack_retire(running.low);
    context_leave(&away, &home);
}

/* The stack that a context retires under itself stays in use until the next call from elsewhere. */
static void test_retire_while_running(void **state) {
    const size_t sizes[] = {8 * KIB, 64 * KIB};
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        running = alloc(sizes[i % 2], i / 2 % 2 != 0 ? GOALLOC_STACK_GUARD : 0);
        size_t in_use = get_stats().stacks;
        go(retire_and_leave);
        assert_int_equal(get_stats().stacks, in_use);
        if (i < 4) {
            goalloc_stack_flush();
        } else {
            goalloc_stack_free(alloc(2048, 0).low);
        }
        assert_int_equal(get_stats().stacks, in_use - 1);
    }
}

static void *taken_meanwhile;

static void retire_and_allocate(void) {
    context_begin(&home);
    goalloc_stack_retire(running.low);
    for (unsigned i = 0; i < 100; i++) { /* on the retired stack: never the same one */
        struct goalloc_stack other = goalloc_stack_alloc(size_of(running), 0);
        taken_meanwhile = other.low == running.low ? other.low : taken_meanwhile;
        goalloc_stack_free(other.low);
        goalloc_stack_flush();
    }
    context_leave(&away, &home);
}

static void test_reuse_only_afterwards(void **state) {
    (void)state;
    running = alloc(16 * KIB, 0);
    void *low = running.low;
    taken_meanwhile = NULL;
    go(retire_and_allocate);
    assert_null(taken_meanwhile);
    struct goalloc_stack next = alloc(16 * KIB, 0); /* last in, first out */
    assert_ptr_equal(next.low, low);
    goalloc_stack_free(next.low);
}

/* One after another on one thread: each frees the one before. */
static void test_retire_many(void **state) {
    (void)state;
    goalloc_stack_flush();
    size_t in_use = get_stats().stacks;
    for (unsigned i = 0; i < 1000; i++) {
        running = alloc((size_t)8192 << i % 4, 0);
        go(retire_and_leave);
        assert_true(get_stats().stacks <= in_use + 1);
    }
    goalloc_stack_flush();
    assert_int_equal(get_stats().stacks, in_use);
}

static void test_retire_elsewhere(void **state) {
    (void)state;
    struct goalloc_stack stack = alloc(8 * KIB, 0);
    size_t in_use = get_stats().stacks;
    KEEPS_ERRNO(goalloc_stack_retire(stack.low));
    assert_int_equal(get_stats().stacks, in_use - 1);
}

static void retire_twice(void) {
    goalloc_stack_retire(running.low);
    goalloc_stack_retire(running.low);
}

static void free_retired(void) {
    goalloc_stack_retire(running.low);
    goalloc_stack_free(running.low);
}

/* Runs it on a stack in a child, which must end with the line. */
static void assert_fatal(void (*body)(void), const char *call, const char *cause) {
    char got[512] = {0}, want[256];
    int ends[2];
    running = alloc(16 * KIB, 0);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        go(body);
        _exit(0);
    }
    close(ends[1]);
    assert_true(read(ends[0], got, sizeof got - 1) >= 0);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    snprintf(want, sizeof want, "goalloc: %s(%p): %s\n", call, running.low, cause);
    got[strcspn(got, "\n") + 1] = '\0'; /* qemu-user has the last word on an abort */
    assert_string_equal(got, want);
    goalloc_stack_free(running.low);
}

static void test_retire_twice(void **state) {
    (void)state;
    assert_fatal(retire_twice, "goalloc_stack_retire", "the stack is retired already");
    assert_fatal(free_retired, "goalloc_stack_free", "the stack is retired already");
}

/* ---- threads ---- */

static void *retire_and_end(void *unused) {
    (void)unused;
    goalloc_stack_free(alloc(4096, 0).low);
    running = alloc(8 * KIB, 0);
    go(retire_and_leave);
    return NULL;
}

static void run_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, body, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_thread_exit_frees(void **state) {
    (void)state;
    goalloc_stack_flush();
    TRIM(0);
    size_t in_use = get_stats().stacks;
    for (unsigned i = 0; i < 50; i++) {
        run_thread(retire_and_end, NULL);
        assert_int_equal(get_stats().stacks, in_use);
    }
    TRIM(0);
    assert_int_equal(get_stats().free_stacks, 0);
}

static void *alloc_100(void *out) {
    for (unsigned i = 0; i < 100; i++) {
        ((struct goalloc_stack *)out)[i] = alloc((size_t)2048 << i % 6, i / 6 % 2);
        fill(((struct goalloc_stack *)out)[i].low, 2048, i);
    }
    return NULL;
}

static void *free_100(void *stacks) {
    for (unsigned i = 0; i < 100; i++) {
        struct goalloc_stack stack = ((struct goalloc_stack *)stacks)[i];
        assert_filled(stack.low, 2048, i);
        if (i % 3 == 0) {
            goalloc_stack_retire(stack.low);
        } else {
            goalloc_stack_free(stack.low);
        }
    }
    return NULL;
}

static void test_freed_by_other_threads(void **state) {
    struct goalloc_stack stacks[100];
    (void)state;
    size_t in_use = get_stats().stacks;
    run_thread(alloc_100, stacks);
    assert_int_equal(get_stats().stacks, in_use + 100);
    run_thread(free_100, stacks);
    assert_int_equal(get_stats().stacks, in_use);
    alloc_100(stacks);
    run_thread(free_100, stacks);
    run_thread(alloc_100, stacks);
    free_100(stacks);
    assert_int_equal(get_stats().stacks, in_use);
}

/* Blocks and stacks share pages that went back, guards do not stay behind. */
static void test_blocks_after_guards(void **state) {
    struct goalloc_stack stacks[64];
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(stacks); i++) {
        stacks[i] = alloc((size_t)4096 << i % 6, GOALLOC_STACK_GUARD);
    }
    for (unsigned i = 0; i < COUNT_OF(stacks); i++) {
        goalloc_stack_free(stacks[i].low);
    }
    goalloc_stack_flush();
    TRIM(0);
    for (unsigned i = 0; i < 8; i++) {
        char *block = keep(MALLOC(4 * MIB));
        assert_non_null(block);
        memset(block, 1, 4 * MIB);
        FREE(block);
        block = keep(MALLOC(64 * KIB << i));
        memset(block, 1, 64 * KIB << i);
        FREE(block);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_named_sizes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_resident),
        cmocka_unit_test(test_retire_while_running),
        cmocka_unit_test(test_reuse_only_afterwards),
        cmocka_unit_test(test_retire_many),
        cmocka_unit_test(test_retire_elsewhere),
        cmocka_unit_test(test_retire_twice),
        cmocka_unit_test(test_thread_exit_frees),
        cmocka_unit_test(test_freed_by_other_threads),
        cmocka_unit_test(test_blocks_after_guards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
