/* Runs: which pages are taken, how many, and where the heap grows. Each test has a heap of its own,
 * of which the page heap knows nothing. */
#include "support.h"

#include "run.h"

static struct run take_any(size_t pages) {
    struct run run;
    CHECK(run_take_any(pages, pages, PAGE_SIZE, &run) && run.pages == pages);
    return run;
}

static void give(struct run run, bool dirty) {
    pagemap_give(&run.arena->pages, run.page, run.pages, dirty);
}

static void check_valid(void) {
    for (unsigned i = 0; i < arena_count(); i++) {
        CHECK(pagemap_is_valid(&arenas[i].pages));
    }
}

TEST_IN_CHILD(first_fit) {
    struct run a, b, c, run;
    (void)unused;
    CHECK(!run_take(PAGES_FREE, 1, 1, PAGE_SIZE, &run));
    a = take_any(3), b = take_any(2), c = take_any(4);
    CHECK(a.page == 0 && b.page == 3 && c.page == 5 && a.dirty + b.dirty + c.dirty == 0);
    give(a, false);
    give(c, false);
    CHECK(take_any(2).page == 0);
    CHECK(take_any(2).page == 5);
    CHECK(take_any(1).page == 2);
    check_valid();
}

/* Dirty pages first, wherever they are. */
TEST_IN_CHILD(dirty_pages_first) {
    struct run a, b, c, run;
    (void)unused;
    a = take_any(4), b = take_any(4), c = take_any(4);
    give(a, false);
    give(c, true);
    (void)b;
    CHECK(!run_take(PAGES_DIRTY, 5, 5, PAGE_SIZE, &run));
    run = take_any(3);
    CHECK(run.page == c.page && run.dirty == 3);
    run = take_any(2);
    CHECK(run.page == a.page && run.dirty == 0);
    CHECK(run_take(PAGES_DIRTY, 1, 1, PAGE_SIZE, &run) && run.page == c.page + 3);
    check_valid();
}

/* A multiple of the least, as many as there are, and no more than the most. */
TEST_IN_CHILD(as_many_as_follow) {
    struct run a, b, run;
    (void)unused;
    a = take_any(11), b = take_any(1);
    give(a, true);
    (void)b;
    CHECK(run_take(PAGES_DIRTY, 2, 6, PAGE_SIZE, &run) && run.page == 0 && run.pages == 6);
    CHECK(run_take(PAGES_DIRTY, 2, 6, PAGE_SIZE, &run) && run.page == 6 && run.pages == 4);
    CHECK(run_take(PAGES_DIRTY, 1, 6, PAGE_SIZE, &run) && run.page == 10 && run.pages == 1);
    check_valid();
}

TEST_IN_CHILD(aligned) {
    enum { ALIGN_PAGES = 16 };
    size_t align = ALIGN_PAGES * PAGE_SIZE;
    struct run run;
    (void)unused;
    take_any(3);
    for (unsigned i = 0; i < 40; i++) {
        CHECK(run_take_any(5, 5, align, &run));
        CHECK(arena_address(run.arena, run.page) % align == 0 && run.pages == 5);
    }
    CHECK(take_any(9).page == 3); /* what is in front of the first is free */
    check_valid();
}

/* Where the run is: its neighbours behind it, also those that are still to be opened. */
TEST_IN_CHILD(in_place) {
    struct run a, b, run;
    (void)unused;
    a = take_any(2), b = take_any(2);
    CHECK(!run_take_at(a.arena, a.page + 2, 1, &run));
    give(b, true);
    CHECK(run_take_at(a.arena, a.page + 2, 3, &run));
    CHECK(run.page == a.page + 2 && run.pages == 3 && run.dirty == 2);
    size_t frontier = arena_opened(a.arena) >> PAGE_SHIFT;
    CHECK(run_take_at(a.arena, a.page + 5, frontier, &run));
    CHECK(arena_opened(a.arena) >> PAGE_SHIFT >= frontier + 5 && run.dirty == 0);
    CHECK(take_any(1).page == a.page + 5 + frontier);
    check_valid();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_fit),         cmocka_unit_test(dirty_pages_first),
        cmocka_unit_test(as_many_as_follow), cmocka_unit_test(aligned),
        cmocka_unit_test(in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
