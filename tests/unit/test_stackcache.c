/* The cache of stacks in front of the pools: its bounds, halves, what is retired, what another
 * thread or process sees of it. Each test has a heap of its own. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "mheap.h"
#include "stackcache.h"

enum { KIND = 2, MOST = STACKCACHE_BYTES / 4096, N = 3 * MOST };

static size_t count_of(const struct stack_bin *bin) {
    return (size_t)(bin->top - bin->slot);
}

static size_t most_of(const struct stack_bin *bin) {
    return (size_t)(bin->end - bin->slot);
}

static void *lows[N];

static struct stackcache *create(bool keeps) {
    struct stackcache *cache = stackcache_create(keeps);
    CHECK(cache != NULL && cache->retired == NULL && is_aligned_to(cache, CACHE_LINE));
    return cache;
}

static void *take(struct stackcache *cache, unsigned kind) {
    void *low;
    if (!stackcache_pop(cache, kind, &low)) {
        low = stackcache_refill(cache, kind);
    }
    CHECK(low != NULL && stack_span_kind(stack_span(low)) == kind);
    return low;
}

static void give(struct stackcache *cache, unsigned kind, void *low) {
    if (!stackcache_push(cache, kind, low)) {
        stackcache_overflow(cache, kind, low, "goalloc_stack_free");
    }
    CHECK(count_of(&cache->bins[kind]) <= most_of(&cache->bins[kind]));
}

static void take_all(struct stackcache *cache) {
    for (unsigned i = 0; i < N; i++) {
        lows[i] = take(cache, KIND);
        memset(lows[i], (int)i, stack_size(KIND));
    }
}

static void give_all(struct stackcache *cache) {
    for (unsigned i = 0; i < N; i++) {
        give(cache, KIND, lows[i]);
    }
}

static size_t counted(const struct stackcache *cache, size_t *bytes) {
    size_t stacks = 0;
    *bytes = 0;
    stackcache_count(cache, &stacks, bytes);
    return stacks;
}

TEST_IN_CHILD(holds_32_kib_an_order) {
    size_t bytes, sum = 0;
    (void)unused;
    struct stackcache *cache = create(true);
    CHECK(cache->guarded_least == os_page_size());
    for (unsigned kind = 0; kind < STACK_SMALL_KINDS; kind++) {
        CHECK(most_of(&cache->bins[kind]) * stack_size(kind) == STACKCACHE_BYTES);
        if (stack_guard(kind) > stack_size(kind)) {
            continue;
        }
        for (unsigned i = 0; i < N; i++) {
            lows[i] = take(cache, kind);
        }
        for (unsigned i = 0; i < N; i++) {
            give(cache, kind, lows[i]);
        }
        CHECK(count_of(&cache->bins[kind]) >= most_of(&cache->bins[kind]) / 2);
        sum += count_of(&cache->bins[kind]) * stack_size(kind);
    }
    CHECK(counted(cache, &bytes) == stackpool_get_stats().out && bytes == sum);
    CHECK(bytes == stackpool_get_stats().out_bytes);
    stackcache_destroy(cache);
    CHECK(stackpool_get_stats().out == 0 && counted(NULL, &bytes) == 0);
}

/* The first stack brings as many as half a bin holds; the one too many sends half away. */
TEST_IN_CHILD(moves_by_half) {
    (void)unused;
    struct stackcache *cache = create(true);
    const struct stack_bin *bin = &cache->bins[KIND];
    lows[0] = take(cache, KIND);
    CHECK(count_of(bin) == MOST / 2 - 1 && stackpool_get_stats().out == MOST / 2);
    take_all(cache);
    for (unsigned i = 0; count_of(bin) < MOST; i++) {
        give(cache, KIND, lows[i]);
    }
    void *top = bin->slot[MOST - 1];
    give(cache, KIND, lows[N - 1]);
    CHECK(count_of(bin) == MOST / 2 + 1 && bin->slot[MOST / 2] == lows[N - 1]);
    CHECK(bin->slot[MOST / 2 - 1] == top); /* the older half is gone */
}

TEST_IN_CHILD(last_in_first_out) {
    (void)unused;
    struct stackcache *cache = create(true);
    void *a = take(cache, KIND), *b = take(cache, KIND);
    give(cache, KIND, a);
    give(cache, KIND, b);
    CHECK(take(cache, KIND) == b && take(cache, KIND) == a);
}

TEST_IN_CHILD(flush_gives_all_back) {
    (void)unused;
    struct stackcache *cache = create(true);
    take_all(cache);
    give_all(cache);
    stackcache_flush(cache);
    CHECK(count_of(&cache->bins[KIND]) == 0 && stackpool_get_stats().out == 0);
    stackpool_release();
    CHECK(mheap_get_stats().in_use == 0 && stackpool_is_valid());
    take_all(cache);
    stackcache_destroy(NULL);
}

/* The cache of the checked mode. */
TEST_IN_CHILD(a_cache_that_keeps_nothing) {
    size_t bytes;
    (void)unused;
    struct stackcache *cache = create(false);
    take_all(cache);
    CHECK(counted(cache, &bytes) == 0 && stackpool_get_stats().out == N);
    give_all(cache);
    CHECK(counted(cache, &bytes) == 0 && stackpool_get_stats().out == 0);
}

TEST_IN_CHILD(without_memory) {
    unsigned n = 0;
    void *low;
    (void)unused;
    struct stackcache *cache = create(true);
    lows[n++] = take(cache, KIND);
    limit_address_space(8 * MIB);
    while ((stackcache_pop(cache, KIND, &low) || (low = stackcache_refill(cache, KIND)) != NULL)) {
        *(void **)low = lows[0]; /* a list through the stacks */
        lows[0] = low;
        n++;
    }
    CHECK(stackpool_get_stats().out == n && count_of(&cache->bins[KIND]) == 0);
    for (low = lows[0]; n > 1; n--) {
        void *next = *(void **)low;
        give(cache, KIND, low);
        low = next;
    }
    CHECK(take(cache, KIND) != NULL && stackpool_is_valid());
}

/* ---- what is retired ---- */

TEST_IN_CHILD(retired_stacks_are_drained) {
    const unsigned kinds[] = {KIND, STACK_SMALL_KINDS};
    (void)unused;
    struct stackcache *cache = create(true);
    for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
        bool clean;
        CHECK(stackpool_take(kinds[i], lows, 1, &clean) == 1);
        cache->retired = lows[0];
        size_t out = stackpool_get_stats().out;
        stackcache_drain(cache);
        CHECK(cache->retired == NULL);
        stackcache_drain(cache);
        stackcache_flush(cache);
        CHECK(stackpool_get_stats().out == out - 1);
    }
}

TEST_IN_CHILD(runs_on_knows_its_stack) {
    char here = 0;
    (void)unused;
    struct stackcache *cache = create(true);
    void *low = take(cache, KIND);
    CHECK(!stackcache_runs_on(low) && !stackcache_runs_on(&here) && !stackcache_runs_on(NULL));
}

/* ---- mistakes ---- */

struct mistake {
    unsigned between; /* other stacks freed between the two times */
    bool keeps;
};

static void free_twice(const void *argument) {
    const struct mistake *mistake = argument;
    struct stackcache *cache = create(mistake->keeps);
    take_all(cache);
    fprintf(stderr, "%p\n", lows[0]);
    give(cache, KIND, lows[0]);
    for (unsigned i = 1; i <= mistake->between; i++) {
        give(cache, KIND, lows[i]);
    }
    give(cache, KIND, lows[0]);
    stackcache_flush(cache);
}

/* At once when it was the last one, else when the cache gives it to the pool. */
static void freeing_twice_is_fatal(void **state) {
    const struct mistake mistakes[] = {{0, true}, {1, true}, {MOST / 2, true}, {0, false}};
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(mistakes); i++) {
        char want[200];
        struct child child;
        run_child(&child, free_twice, &mistakes[i]);
        int length = (int)strcspn(child.text, "\n");
        snprintf(want, sizeof want,
                 "goalloc: goalloc_stack_free(%.*s): double free of a stack of 4096 bytes\n",
                 length, child.text);
        assert_string_equal(child.text + length + 1, want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_32_kib_an_order),      cmocka_unit_test(moves_by_half),
        cmocka_unit_test(last_in_first_out),          cmocka_unit_test(flush_gives_all_back),
        cmocka_unit_test(a_cache_that_keeps_nothing), cmocka_unit_test(without_memory),
        cmocka_unit_test(retired_stacks_are_drained), cmocka_unit_test(runs_on_knows_its_stack),
        cmocka_unit_test(freeing_twice_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
