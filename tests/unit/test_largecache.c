/* Large blocks that were freed: which are kept, who gets them, and when they go back. Each test has
 * a heap of its own. */
#include "support.h"

#include <stdatomic.h>
#include <sys/single_threaded.h>

#include "arena.h"
#include "largecache.h"
#include "mheap.h"

enum { SHARDS = 4, THREADS = 4, ROUNDS = 20000, KEPT = 16, FORKS = 300 };

/* A thread of that shard, with nothing of its own. */
#define SHARD(n) (&(struct largecache){.shard = (n)})

/* A block that is in no page table any more, as a free leaves it. */
static struct span *freed(size_t bytes, size_t align) {
    struct span *span = mheap_alloc_large(bytes, align, MHEAP_ANY);
    CHECK(span != NULL && arena_claim_large(&arenas[0], span->base, span));
    return span;
}

static void idle_thread(unsigned index) {
    (void)index;
}

/* Of which shards keep much: it is large, and the C library knows of several threads. */
static struct span *large_heap(void) {
    run_threads(1, idle_thread);
    struct span *live = mheap_alloc_large(64 * MIB, PAGE_SIZE, MHEAP_ANY);
    CHECK(live != NULL);
    return live;
}

static size_t rounded(size_t bytes) {
    return mheap_large_pages(bytes, PAGE_SIZE) << PAGE_SHIFT;
}

static size_t kept_blocks(void) {
    size_t blocks, leads;
    largecache_bytes(&blocks, &leads);
    return blocks;
}

static void check_empty_but_for(struct span *live) {
    largecache_release(SIZE_MAX);
    mheap_free(live);
    CHECK(kept_blocks() == 0 && mheap_get_stats().in_use == 0 && mheap_is_valid());
}

/* A 32nd of the heap; and again as much after that was taken, or given back. */
TEST_IN_CHILD(one_thread_keeps_little) {
    enum { BYTES = MIB - 64 * KIB };
    struct span *block = mheap_alloc_large(32 * MIB, PAGE_SIZE, MHEAP_ANY);
    struct span *more = freed(512 * KIB, PAGE_SIZE);
    (void)unused;
    if (!__libc_single_threaded) {
        skip_child("a sanitizer has a thread of its own");
    }
    for (unsigned i = 0; i < 3; i++) {
        struct span *first = freed(BYTES, PAGE_SIZE), *second = freed(BYTES, PAGE_SIZE);
        CHECK(largecache_put(SHARD(0), first) && largecache_put(SHARD(0), second) &&
              !largecache_put(SHARD(0), more));
        if (i == 0) {
            largecache_release(SIZE_MAX);
            continue;
        }
        CHECK(largecache_take(SHARD(0), BYTES, PAGE_SIZE) == second);
        CHECK(largecache_take(SHARD(0), BYTES, PAGE_SIZE) == first);
        mheap_free(first);
        mheap_free(second);
    }
    mheap_free(more);
    check_empty_but_for(block);
}

/* For every size of which blocks are kept, and those about it. */
TEST_IN_CHILD(blocks_come_back) {
    (void)unused;
    struct span *live = large_heap();
    for (size_t bytes = 32 * KIB + 1; bytes < MIB + 200 * KIB; bytes += 3 * KIB) {
        struct span *span = freed(bytes, PAGE_SIZE);
        bool keeps = rounded(bytes) < MIB;
        CHECK(largecache_put(SHARD(1), span) == keeps);
        if (!keeps) {
            mheap_free(span);
            continue;
        }
        CHECK(arena_span(span->base) == NULL && kept_blocks() == 1);
        CHECK(largecache_take(SHARD(1), bytes + rounded(bytes) / 2, PAGE_SIZE) == NULL);
        CHECK(largecache_take(SHARD(1), bytes, PAGE_SIZE) == span && span->needs_zero);
        CHECK(arena_span(span->base) == span && kept_blocks() == 0);
        mheap_free(span);
    }
    check_empty_but_for(live);
}

/* ---- what a thread keeps for itself ---- */

/* The last one first, and none of the shard's before them; what they count is right all the time. */
TEST_IN_CHILD(own_blocks_first) {
    struct largecache own = {.most = MIB};
    (void)unused;
    struct span *live = large_heap();
    struct span *shared = freed(64 * KIB, PAGE_SIZE);
    struct span *first = freed(64 * KIB, PAGE_SIZE), *second = freed(64 * KIB, PAGE_SIZE);
    struct span *odd = freed(256 * KIB, 16);
    CHECK(largecache_put(SHARD(0), shared));
    CHECK(largecache_put(&own, first) && largecache_put(&own, second));
    CHECK(largecache_put(&own, odd) && kept_blocks() == 1);
    CHECK(own.count == 3 && own.bytes == 2 * span_bytes(first) + span_bytes(odd));
    CHECK(arena_span(first->base) == NULL);
    CHECK(largecache_take(&own, 64 * KIB, PAGE_SIZE) == second && second->needs_zero);
    CHECK(arena_span(second->base) == second);
    CHECK(largecache_take(&own, 64 * KIB, PAGE_SIZE) == first);
    CHECK(largecache_take(&own, 64 * KIB, PAGE_SIZE) == shared);
    CHECK(largecache_take(&own, 64 * KIB, PAGE_SIZE) == NULL);
    CHECK(largecache_take(&own, 256 * KIB, 16) == odd);
    CHECK(own.count == 0 && own.bytes == 0);
    mheap_free(shared);
    mheap_free(first);
    mheap_free(second);
    mheap_free(odd);
    check_empty_but_for(live);
}

/* Four; its bound; a 32nd of the heap, and 128 KiB of a small one. The oldest go to the shard. */
TEST_IN_CHILD(own_blocks_are_bounded) {
    static const struct {
        size_t most, live;
        uint32_t blocks;
    } cases[] = {{MIB, MIB, 2},
                 {MIB, 6 * MIB, 3},
                 {MIB, 64 * MIB, 4},
                 {192 * KIB, 64 * MIB, 3},
                 {0, 64 * MIB, 0}};
    (void)unused;
    run_threads(1, idle_thread);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct largecache own = {.most = cases[i].most};
        struct span *live = mheap_alloc_large(cases[i].live, PAGE_SIZE, MHEAP_ANY);
        struct span *spans[10];
        for (unsigned n = 0; n < 10; n++) {
            spans[n] = freed(64 * KIB, PAGE_SIZE);
            if (!largecache_put(&own, spans[n])) {
                mheap_free(spans[n]);
            }
        }
        CHECK(own.count == cases[i].blocks && kept_blocks() > 0);
        for (uint32_t n = 0; n < own.count; n++) {
            CHECK(own.span[n] == spans[10 - own.count + n]);
        }
        size_t shared = kept_blocks();
        largecache_flush(&own);
        CHECK(own.count == 0 && own.bytes == 0 && kept_blocks() >= shared);
        check_empty_but_for(live);
    }
}

/* One that is more than a thread may keep goes to the shard at once, and nothing else does. */
TEST_IN_CHILD(own_blocks_stay_for_larger_ones) {
    struct largecache own = {.most = 192 * KIB};
    struct span *live = large_heap(), *first = freed(64 * KIB, PAGE_SIZE);
    (void)unused;
    CHECK(largecache_put(&own, first) && largecache_put(&own, freed(512 * KIB, PAGE_SIZE)));
    CHECK(own.count == 1 && own.span[0] == first && kept_blocks() == 1);
    largecache_flush(&own);
    check_empty_but_for(live);
}

/* The first that is kept is not where it is wanted: it stays. */
TEST_IN_CHILD(own_alignment_counts) {
    struct largecache own = {.most = MIB};
    struct span *live = large_heap();
    (void)unused;
    struct span *span = freed(64 * KIB, MIB), *other = freed(64 * KIB, PAGE_SIZE);
    CHECK(other->base % MIB != 0);
    CHECK(largecache_put(&own, other) && largecache_take(&own, 64 * KIB, MIB) == NULL);
    CHECK(largecache_put(&own, span) && largecache_take(&own, 64 * KIB, MIB) == span);
    CHECK(own.count == 1);
    mheap_free(span);
    largecache_flush(&own);
    check_empty_but_for(live);
}

/* ---- what shards keep ---- */

/* The last one first; one of another shard if there is none. */
TEST_IN_CHILD(own_shard_first) {
    struct span *spans[SHARDS];
    (void)unused;
    struct span *live = large_heap();
    for (unsigned i = 0; i < SHARDS; i++) {
        spans[i] = freed(100000, PAGE_SIZE);
        CHECK(largecache_put(SHARD(i), spans[i]));
    }
    CHECK(largecache_take(SHARD(2), 100000, PAGE_SIZE) == spans[2]);
    CHECK(largecache_take(SHARD(2), 100000, PAGE_SIZE) == spans[3]);
    CHECK(largecache_put(SHARD(0), spans[2]));
    CHECK(largecache_take(SHARD(0), 100000, PAGE_SIZE) == spans[2]);
    CHECK(largecache_take(SHARD(SHARDS), 100000, PAGE_SIZE) == spans[0]);
    CHECK(largecache_take(SHARD(SHARDS), 100000, PAGE_SIZE) == spans[1]);
    CHECK(largecache_take(SHARD(0), 100000, PAGE_SIZE) == NULL);
    for (unsigned i = 0; i < SHARDS; i++) {
        mheap_free(spans[i]);
    }
    check_empty_but_for(live);
}

TEST_IN_CHILD(alignment_counts) {
    (void)unused;
    struct span *live = large_heap();
    struct span *span = freed(64 * KIB, MIB), *other = freed(64 * KIB, PAGE_SIZE);
    CHECK(other->base % MIB != 0);
    CHECK(largecache_put(SHARD(0), other) && largecache_take(SHARD(0), 64 * KIB, MIB) == NULL);
    CHECK(largecache_put(SHARD(0), span) && largecache_take(SHARD(0), 64 * KIB, MIB) == span);
    mheap_free(span);
    check_empty_but_for(live);
}

/* Blocks of a page more than another have a bin of their own. */
TEST_IN_CHILD(pages_count) {
    (void)unused;
    struct span *live = large_heap();
    struct span *exact = freed(256 * KIB, PAGE_SIZE), *more = freed(256 * KIB, 16);
    CHECK(more->pages == exact->pages + 1);
    CHECK(largecache_put(SHARD(0), exact) && largecache_take(SHARD(0), 256 * KIB, 16) == NULL);
    CHECK(largecache_put(SHARD(0), more) && largecache_take(SHARD(0), 256 * KIB, 16) == more);
    CHECK(span_block_size(more) >= 256 * KIB);
    CHECK(largecache_take(SHARD(0), 256 * KIB, PAGE_SIZE) == exact && exact->lead == 0);
    mheap_free(exact);
    mheap_free(more);
    check_empty_but_for(live);
}

/* An eighth of the heap, 16 MiB at most; then no block is kept, whatever its size, and one of any
 * size again as soon as there is room for one. */
TEST_IN_CHILD(bounded) {
    static const size_t lives[] = {8 * MIB, 40 * MIB, 400 * MIB};
    (void)unused;
    run_threads(1, idle_thread);
    for (size_t i = 0; i < COUNT_OF(lives); i++) {
        struct span *live = mheap_alloc_large(lives[i], PAGE_SIZE, MHEAP_ANY), *span;
        size_t blocks, leads, n = 0;
        do {
            span = freed(n++ % 2 == 0 ? 64 * KIB : 512 * KIB, PAGE_SIZE);
        } while (largecache_put(SHARD(0), span));
        size_t bytes = largecache_bytes(&blocks, &leads);
        size_t most = min_size(mheap_in_use() / 8, 16 * MIB);
        CHECK(blocks == n - 1 && bytes >= most && bytes < most + 512 * KIB);
        CHECK(!largecache_put(SHARD(SHARDS), span) && largecache_put(SHARD(1), span));
        for (n = 0; bytes >= most; n++) {
            span = largecache_take(SHARD(0), n % 2 == 0 ? 64 * KIB : 512 * KIB, PAGE_SIZE);
            bytes -= span_bytes(span);
            mheap_free(span);
        }
        CHECK(largecache_put(SHARD(0), freed(512 * KIB, PAGE_SIZE)));
        check_empty_but_for(live);
    }
}

/* A block of the next size is taken, too, but no larger one. */
TEST_IN_CHILD(next_size_will_do) {
    static const struct {
        size_t bytes, next, beyond;
    } cases[] = {{40 * KIB, 48 * KIB, 56 * KIB},
                 {112 * KIB, 120 * KIB, 144 * KIB},
                 {232 * KIB, 256 * KIB, 288 * KIB}};
    struct span *live = large_heap(), *small = freed(128 * KIB, 16);
    (void)unused;
    CHECK(largecache_put(SHARD(0), small));
    CHECK(largecache_take(SHARD(0), 960 * KIB, PAGE_SIZE) == NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span *beyond = freed(cases[i].beyond, PAGE_SIZE);
        CHECK(largecache_put(SHARD(0), beyond));
        CHECK(largecache_take(SHARD(0), cases[i].bytes, PAGE_SIZE) == NULL);
        struct span *next = freed(cases[i].next, PAGE_SIZE);
        struct span *exact = freed(cases[i].bytes, PAGE_SIZE);
        CHECK(largecache_put(SHARD(0), next) && largecache_put(SHARD(0), exact));
        CHECK(largecache_take(SHARD(0), cases[i].bytes, PAGE_SIZE) == exact);
        CHECK(largecache_take(SHARD(0), cases[i].bytes, PAGE_SIZE) == next);
        CHECK(largecache_take(SHARD(0), cases[i].bytes, PAGE_SIZE) == NULL);
        mheap_free(exact);
        mheap_free(next);
        largecache_release(SIZE_MAX);
    }
    check_empty_but_for(live);
}

TEST_IN_CHILD(release_by_pages) {
    (void)unused;
    struct span *live = large_heap();
    CHECK(largecache_release(1) == 0);
    for (unsigned i = 0; i < 10; i++) {
        CHECK(largecache_put(SHARD(i), freed(64 * KIB, PAGE_SIZE)));
    }
    size_t each = (64 * KIB) >> PAGE_SHIFT;
    CHECK(largecache_release(1) == each && kept_blocks() == 9);
    CHECK(largecache_release(3 * each) == 3 * each && kept_blocks() == 6);
    CHECK(largecache_release(SIZE_MAX) == 6 * each);
    check_empty_but_for(live);
}

/* What was there all the time between two looks. */
TEST_IN_CHILD(idle_blocks_go_back) {
    struct span *spans[5];
    (void)unused;
    struct span *live = large_heap();
    for (unsigned i = 0; i < 5; i++) {
        CHECK(largecache_put(SHARD(0), freed(64 * KIB, PAGE_SIZE)));
    }
    largecache_trim();
    CHECK(kept_blocks() == 5);
    for (unsigned i = 0; i < 3; i++) {
        spans[i] = largecache_take(SHARD(0), 64 * KIB, PAGE_SIZE);
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK(arena_claim_large(&arenas[0], spans[i]->base, spans[i]));
        CHECK(largecache_put(SHARD(0), spans[i]));
    }
    largecache_trim();
    CHECK(kept_blocks() == 3);
    largecache_trim();
    CHECK(kept_blocks() == 0);
    check_empty_but_for(live);
}

static void churn(unsigned index) {
    struct span *spans[KEPT] = {NULL};
    uint64_t seed = index + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)random_below(&seed, KEPT);
        size_t bytes = 40 * KIB << at % 4;
        if (spans[at] != NULL) {
            CHECK(is_filled((void *)spans[at]->base, 64, index + at));
            CHECK(arena_claim_large(arena_of(spans[at]->base), spans[at]->base, spans[at]));
            if (!largecache_put(SHARD(index), spans[at])) {
                mheap_free(spans[at]);
            }
            spans[at] = NULL;
        } else {
            struct span *span = largecache_take(SHARD(index), bytes, PAGE_SIZE);
            spans[at] = span != NULL ? span : mheap_alloc_large(bytes, PAGE_SIZE, MHEAP_ANY);
            CHECK(spans[at] != NULL && span_bytes(spans[at]) >= bytes);
            fill((void *)spans[at]->base, 64, index + at);
        }
        if (i % 1000 == 0) {
            largecache_trim();
            largecache_release(8);
        }
    }
    for (unsigned at = 0; at < KEPT; at++) {
        if (spans[at] != NULL) {
            mheap_free(spans[at]);
        }
    }
}

TEST_IN_CHILD(many_threads) {
    (void)unused;
    struct span *live = large_heap();
    run_threads(THREADS, churn);
    check_empty_but_for(live);
}

/* ---- forks ---- */

static atomic_bool stop;

/* All bins can be emptied and used again. */
static void use_inherited(void) {
    largecache_release(SIZE_MAX);
    CHECK(kept_blocks() == 0);
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        for (size_t bytes = 40 * KIB; bytes < MIB; bytes *= 2) {
            struct span *span = freed(bytes, PAGE_SIZE);
            CHECK(largecache_put(SHARD(shard), span));
            CHECK(largecache_take(SHARD(shard), bytes, PAGE_SIZE) == span);
        }
    }
}

static void fork_or_churn(unsigned index) {
    while (index > 0 && !atomic_load(&stop)) {
        struct span *span = largecache_take(SHARD(index), 40 * KIB << index, PAGE_SIZE);
        span = span != NULL ? span : mheap_alloc_large(40 * KIB << index, PAGE_SIZE, MHEAP_ANY);
        CHECK(arena_claim_large(arena_of(span->base), span->base, span));
        CHECK(largecache_put(SHARD(index % 2), span));
    }
    if (index == 0) {
        run_forks(FORKS, use_inherited);
    }
    atomic_store(&stop, true);
}

TEST_IN_CHILD(forks_while_locks_are_held) {
    (void)unused;
    struct span *live = large_heap();
    run_threads(THREADS, fork_or_churn);
    check_empty_but_for(live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_keeps_little),
        cmocka_unit_test(blocks_come_back),
        cmocka_unit_test(own_blocks_first),
        cmocka_unit_test(own_blocks_are_bounded),
        cmocka_unit_test(own_blocks_stay_for_larger_ones),
        cmocka_unit_test(own_alignment_counts),
        cmocka_unit_test(own_shard_first),
        cmocka_unit_test(alignment_counts),
        cmocka_unit_test(pages_count),
        cmocka_unit_test(bounded),
        cmocka_unit_test(next_size_will_do),
        cmocka_unit_test(release_by_pages),
        cmocka_unit_test(idle_blocks_go_back),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(forks_while_locks_are_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
