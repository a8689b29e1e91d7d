/* The page heap: which pages are handed out, what becomes of freed ones, and what that costs. Each
 * test has a heap of its own. */
#include "support.h"

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena.h"
#include "mheap.h"
#include "os.h"

enum { THREADS = 4, ROUNDS = 3000, KEPT = 32 };

#define PAGES(n) ((n)*PAGE_SIZE)

static struct span *alloc(size_t bytes) {
    struct span *span = mheap_alloc_large(bytes, PAGE_SIZE, MHEAP_ANY);
    CHECK(span != NULL && span->class == 0 && span_bytes(span) >= bytes);
    CHECK(arena_span(span->base) == span);
    return span;
}

static void *block(const struct span *span) {
    return (void *)span->base;
}

static void check_sums(void) {
    struct mheap_stats stats = mheap_get_stats();
    CHECK(stats.mapped == stats.in_use + stats.free_dirty + stats.free_clean);
    CHECK(stats.large <= stats.in_use);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(split_and_coalesce) {
    (void)unused;
    struct span *a = alloc(PAGES(4)), *b = alloc(PAGES(4)), *c = alloc(PAGES(4));
    uintptr_t first = a->base;
    CHECK(b->base == first + PAGES(4) && c->base == first + PAGES(8));
    mheap_free(b);
    b = alloc(PAGES(2));
    CHECK(b->base == first + PAGES(4));
    struct span *d = alloc(PAGES(2));
    CHECK(d->base == first + PAGES(6));
    mheap_free(a);
    mheap_free(d);
    mheap_free(c);
    mheap_free(b); /* merges with both neighbours */
    CHECK(alloc(PAGES(12))->base == first);
    check_sums();
}

TEST_IN_CHILD(lowest_address_first) {
    struct span *spans[10];
    uintptr_t third, seventh;
    (void)unused;
    for (unsigned i = 0; i < COUNT_OF(spans); i++) {
        spans[i] = alloc(PAGES(5));
        CHECK(i == 0 || spans[i]->base == spans[i - 1]->base + PAGES(5));
    }
    third = spans[3]->base;
    seventh = spans[7]->base;
    mheap_free(spans[3]);
    mheap_free(spans[7]);
    CHECK(alloc(PAGES(3))->base == third);
    CHECK(alloc(PAGES(5))->base == seventh);
    CHECK(alloc(PAGES(2))->base == third + PAGES(3));
}

/* As many spans as fit behind the first; when they are freed together, neighbours merge, and
 * others go back where they were. */
TEST_IN_CHILD(small_spans_in_a_row) {
    unsigned class = size_class(1024);
    (void)unused;
    struct span *hole = alloc(PAGES(3)), *block = alloc(PAGES(1)), *span;
    uintptr_t first = hole->base;
    mheap_free(hole);
    struct span *few = mheap_alloc_small(class, 8, MHEAP_BACKED);
    CHECK(few->base == first + PAGES(2) && few->next->base == first + PAGES(1));
    CHECK(few->next->next->base == first && few->next->next->next == NULL);
    CHECK(mheap_alloc_small(class, 8, MHEAP_BACKED) == NULL);
    struct span *many = mheap_alloc_small(class, 8, MHEAP_ANY);
    unsigned count = 0;
    for (span = many; span != NULL; span = span->next) {
        CHECK(span->base == first + PAGES(11 - count++) && span->pages == 1);
        CHECK(span->class == class && span->free == span->objects &&
              arena_span(span->base) == span);
    }
    CHECK(count == 8 && mheap_get_stats().in_use == PAGES(12));
    struct span *second = many->next; /* of the others: between them */
    many->next = second->next;
    few->next->next->next = many;
    mheap_free_small(few);
    CHECK(mheap_get_stats().in_use == PAGES(2) && mheap_get_stats().free_dirty == PAGES(10));
    CHECK(arena_span(first) == NULL && arena_span(second->base) == second);
    CHECK(alloc(PAGES(6))->base == first + PAGES(4) && alloc(PAGES(3))->base == first);
    mheap_free(block);
    check_sums();
}

TEST_IN_CHILD(dirty_before_clean) {
    (void)unused;
    struct span *a = alloc(PAGES(8)), *b = alloc(PAGES(8));
    uintptr_t low = a->base, high = b->base;
    CHECK(!a->needs_zero && is_zero(block(a), PAGES(8)));
    fill(block(a), PAGES(8), 1);
    mheap_free(a);
    if (mheap_release(0, SIZE_MAX) == 0) {
        skip_child("this system does not discard");
    }
    mheap_free(b);
    b = alloc(PAGES(8));
    CHECK(b->base == high && b->needs_zero);
    a = alloc(PAGES(8));
    CHECK(a->base == low && !a->needs_zero && is_zero(block(a), PAGES(8)));
}

TEST_IN_CHILD(sizes_are_rounded) {
    (void)unused;
    for (size_t bytes = 1; bytes < 3 * GIB; bytes += bytes / 7 + 1) {
        size_t pages = mheap_large_pages(bytes, PAGE_SIZE), exact = pages_for(bytes);
        CHECK(pages >= exact && pages - exact <= exact / 8);
        CHECK(mheap_large_pages(pages << PAGE_SHIFT, PAGE_SIZE) == pages);
    }
    CHECK(alloc(MIB + 1)->pages == mheap_large_pages(MIB + 1, PAGE_SIZE));
}

TEST_IN_CHILD(alignment) {
    struct span *spans[20];
    unsigned count = 0;
    (void)unused;
    for (size_t align = PAGE_SIZE; align <= GIB; align *= 2) {
        struct span *span = mheap_alloc_large(PAGES(3), align, MHEAP_ANY);
        CHECK(span != NULL && span->base % align == 0);
        fill(block(span), PAGES(3), count);
        spans[count++] = span;
        alloc(PAGE_SIZE);
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK(is_filled(block(spans[i]), PAGES(3), i));
        mheap_free(spans[i]);
    }
    check_sums();
}

/* At one of 64 places of its first page each, about as many at each of them; where that is asked
 * for, at the start. */
TEST_IN_CHILD(starts_are_spread) {
    enum { BLOCKS = 256, PLACES = 64 };
    static const size_t sizes[] = {128 * KIB, 200 * KIB, 512 * KIB, MIB, MIB + 1};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned at[PLACES] = {0}, most = 0;
        for (unsigned k = 0; k < BLOCKS; k++) {
            struct span *span = mheap_alloc_large(sizes[i], 16, MHEAP_ANY);
            CHECK(span->pages == mheap_large_pages(sizes[i], 16));
            CHECK(span_block_size(span) >= sizes[i] && span_lead(span) < PLACES * CACHE_LINE);
            CHECK((uintptr_t)span_large_start(span) == span->base + span_lead(span));
            most = (unsigned)max_size(most, ++at[span->lead]);
        }
        CHECK(most <= 4 * BLOCKS / PLACES);
    }
    CHECK(mheap_large_pages(MIB, 16) == (MIB >> PAGE_SHIFT) + 1);
    for (unsigned k = 0; k < BLOCKS; k++) {
        CHECK(mheap_alloc_large(MIB, 2 * CACHE_LINE, MHEAP_ANY)->lead == 0);
        CHECK(mheap_alloc_large(100 * KIB, 16, MHEAP_ANY)->lead == 0);
    }
}

TEST_IN_CHILD(resized_behind_its_lead) {
    struct span *span;
    (void)unused;
    do {
        span = mheap_alloc_large(MIB, 16, MHEAP_ANY);
    } while (span->lead == 0);
    size_t lead = span_lead(span);
    for (size_t bytes = 4 * MIB; bytes > 32 * KIB; bytes -= PAGE_SIZE) {
        CHECK(mheap_resize(span, bytes) && span_lead(span) == lead);
        CHECK(span_block_size(span) >= bytes);
    }
    check_sums();
}

TEST_IN_CHILD(refused) {
    (void)unused;
    struct mheap_stats before = mheap_get_stats();
    CHECK(mheap_alloc_large(PTRDIFF_MAX, PAGE_SIZE, MHEAP_ANY) == NULL);
    CHECK(mheap_alloc_large(PAGE_SIZE, (size_t)1 << 62, MHEAP_ANY) == NULL);
    CHECK(mheap_alloc_large((size_t)1 << 46, PAGE_SIZE, MHEAP_ANY) == NULL);
    CHECK(mheap_get_stats().in_use == before.in_use);
    alloc(PAGE_SIZE);
    check_sums();
}

TEST_IN_CHILD(resized_in_place) {
    (void)unused;
    struct span *a = alloc(PAGES(8)), *b = alloc(PAGES(8)), *c = alloc(PAGES(8));
    fill(block(a), PAGES(8), 1);
    CHECK(!mheap_resize(a, PAGES(9)));
    CHECK(span_bytes(a) == PAGES(8));
    mheap_free(b);
    CHECK(mheap_resize(a, PAGES(12)));
    CHECK(span_bytes(a) == PAGES(12) && is_filled(block(a), PAGES(8), 1));
    CHECK(mheap_resize(a, PAGES(14)) && !mheap_resize(a, PAGES(20)));
    CHECK(mheap_resize(a, PAGES(3)));
    CHECK(alloc(PAGES(13))->base == a->base + PAGES(3));
    CHECK(c->base == a->base + PAGES(16));
    check_sums();
}

/* The last block grows over the frontier. */
TEST_IN_CHILD(resized_at_the_frontier) {
    (void)unused;
    struct span *a = alloc(PAGES(8));
    uintptr_t base = a->base;
    for (size_t bytes = MIB; bytes <= 256 * MIB; bytes *= 2) {
        CHECK(mheap_resize(a, bytes));
        CHECK(a->base == base && span_bytes(a) == bytes);
        ((volatile char *)base)[bytes - 1] = 1;
    }
    CHECK(mheap_get_stats().in_use == 256 * MIB);
    CHECK(mheap_resize(a, PAGES(8)));
    CHECK(mheap_get_stats().in_use == PAGES(8) && mheap_get_stats().large == PAGES(8));
    check_sums();
}

TEST_IN_CHILD(release_gives_memory_back) {
    (void)unused;
    struct span *a = alloc(32 * MIB), *b = alloc(MIB);
    void *memory = block(a);
    fill(memory, 32 * MIB, 1);
    fill(block(b), MIB, 2);
    mheap_free(a);
    CHECK(mheap_get_stats().free_dirty == 32 * MIB);
    CHECK(resident_pages(memory, 32 * MIB) == 32 * MIB / os_page_size());
    CHECK(mheap_release(32 * MIB, SIZE_MAX) == 0);
    if (mheap_release(0, SIZE_MAX) == 0) {
        skip_child("this system does not discard");
    }
    CHECK(resident_pages(memory, 32 * MIB) == 0);
    CHECK(mheap_get_stats().free_dirty == 0 && mheap_release(0, SIZE_MAX) == 0);
    CHECK(is_filled(block(b), MIB, 2));
    a = alloc(32 * MIB);
    CHECK(block(a) == memory && !a->needs_zero && is_zero(memory, 32 * MIB));
    check_sums();
}

/* With a hole in the reservation the usual step cannot be opened, but what is needed can. */
TEST_IN_CHILD(grows_by_the_exact_need) {
    (void)unused;
    alloc(MIB);
    struct arena *arena = &arenas[0];
    uintptr_t frontier = arena->base + arena_opened(arena);
    while (mheap_get_stats().in_use < arena_opened(arena)) {
        alloc(PAGE_SIZE);
    }
    os_unreserve((void *)(frontier + ARENA_GRAIN), ARENA_GRAIN);
    struct span *span = alloc(ARENA_GRAIN);
    CHECK(span->base == frontier && arena_opened(arena) == frontier + ARENA_GRAIN - arena->base);
    fill(block(span), ARENA_GRAIN, 1);
    check_sums();
}

static void churn_5_mib(unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        struct span *span = alloc(5 * MIB);
        for (size_t at = 0; at < 5 * MIB; at += 4 * KIB) {
            ((volatile char *)block(span))[at] = 1;
        }
        mheap_free(span);
    }
}

/* A round that faulted its pages in anew would take more than a thousand faults. */
TEST_IN_CHILD(no_faults_after_the_first_round) {
    (void)unused;
    churn_5_mib(2);
    size_t before = page_faults();
    churn_5_mib(100);
    CHECK(page_faults() - before < 100);
}

/* In strict mode the kernel kills at any system call but read, write and exit. */
TEST_IN_CHILD(no_system_calls_after_the_first_round) {
    (void)unused;
    churn_5_mib(2);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
        skip_child("no seccomp here");
    }
    churn_5_mib(100);
    syscall(SYS_exit, 0);
}

static void churn(unsigned index) {
    struct span *kept[KEPT] = {NULL};
    uint64_t seed = index + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)random_below(&seed, KEPT), tag = index * KEPT + at;
        if (kept[at] != NULL) {
            CHECK(is_filled(block(kept[at]), 500, tag));
            mheap_free(kept[at]);
            kept[at] = NULL;
        } else {
            kept[at] = alloc(1 + random_below(&seed, (size_t)1 << random_below(&seed, 22)));
            fill(block(kept[at]), 500, tag);
        }
        if (i % 500 == 0) {
            mheap_release(MIB, SIZE_MAX);
        }
    }
    for (unsigned at = 0; at < KEPT; at++) {
        if (kept[at] != NULL) {
            mheap_free(kept[at]);
        }
    }
}

/* Blocks that grow, so that none fits where one has been, with others between them. */
TEST_IN_CHILD(holes_go_back) {
    (void)unused;
    struct span *all = alloc(64 * MIB);
    fill(block(all), 64 * MIB, 1);
    mheap_free(all);
    if (mheap_release(0, SIZE_MAX) == 0) {
        skip_child("this system does not discard");
    }
    mheap_idle();
    size_t most = 0;
    for (size_t size = MIB, i = 0; i < 10; i++, size += MIB) {
        struct span *span = alloc(size);
        struct mheap_stats stats = mheap_get_stats();
        most = max_size(most, stats.in_use);
        CHECK(stats.in_use + stats.free_dirty <= most + max_size(most / 8, 2 * MIB));
        alloc(PAGE_SIZE);
        mheap_free(span);
    }
    struct mheap_stats stats = mheap_get_stats();
    CHECK(stats.free_dirty >= 10 * MIB && stats.free_dirty <= 13 * MIB);
    check_sums();
}

TEST_IN_CHILD(many_threads) {
    (void)unused;
    run_threads(THREADS, churn);
    struct mheap_stats stats = mheap_get_stats();
    CHECK(stats.in_use == 0 && stats.large == 0 && stats.large_blocks == 0);
    check_sums();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_and_coalesce),
        cmocka_unit_test(lowest_address_first),
        cmocka_unit_test(small_spans_in_a_row),
        cmocka_unit_test(dirty_before_clean),
        cmocka_unit_test(sizes_are_rounded),
        cmocka_unit_test(alignment),
        cmocka_unit_test(starts_are_spread),
        cmocka_unit_test(resized_behind_its_lead),
        cmocka_unit_test(refused),
        cmocka_unit_test(resized_in_place),
        cmocka_unit_test(resized_at_the_frontier),
        cmocka_unit_test(release_gives_memory_back),
        cmocka_unit_test(grows_by_the_exact_need),
        cmocka_unit_test(no_faults_after_the_first_round),
        cmocka_unit_test(no_system_calls_after_the_first_round),
        cmocka_unit_test(holes_go_back),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
