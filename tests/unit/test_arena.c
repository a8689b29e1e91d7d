/*
 * Where arenas come to lie and how they grow when address space is in the way or limited. Each test
 * has a process of its own, in which nothing was allocated before.
 */
#include "support.h"

#include "arch.h"
#include "arena.h"
#include "mheap.h"
#include "options.h"
#include "os.h"
#include "resize.h"

enum { HINTS = 0x80 };

/* The first hint with room for so much, by trying. */
static uintptr_t first_free_hint(size_t size) {
    for (unsigned i = 0; i < HINTS && arch_hint(i) != 0; i++) {
        uintptr_t hint = (uintptr_t)arch_hint(i);
        if (hint >> ARCH_ADDRESS_BITS == 0 && os_reserve_at((void *)hint, size)) {
            os_unreserve((void *)hint, size);
            return hint;
        }
    }
    return 0;
}

static void occupy(uintptr_t address) {
    CHECK(os_reserve_at((void *)address, os_page_size()));
}

/* A block that is usable at its start and its end. */
static struct span *large(size_t bytes) {
    struct span *span = mheap_alloc_large(bytes, PAGE_SIZE, MHEAP_ANY);
    CHECK(span != NULL);
    volatile char *block = (char *)span->base;
    CHECK(block[0] == 0 && block[bytes - 1] == 0);
    block[0] = block[bytes - 1] = 1;
    return span;
}

TEST_IN_CHILD(at_the_first_hint) {
    (void)unused;
    uintptr_t hint = first_free_hint(GIB);
    CHECK(arena_add(0));
    CHECK(arena_count() == 1);
    CHECK(hint == 0 || arenas[0].base == hint);
    CHECK(arena_opened(&arenas[0]) == 0);
    CHECK(arena_of(arenas[0].base) == NULL);
    CHECK(large(100 * MIB)->base == arenas[0].base);
    CHECK(arena_of(arenas[0].base) == &arenas[0]);
}

TEST_IN_CHILD(past_an_occupied_hint) {
    (void)unused;
    uintptr_t first = first_free_hint(GIB);
    if (first == 0) {
        skip_child("no hint is free here");
    }
    occupy(first);
    uintptr_t second = first_free_hint(GIB);
    CHECK(large(100 * MIB)->base == arenas[0].base);
    CHECK(arenas[0].base != first && (second == 0 || arenas[0].base == second));
    large(300 * MIB);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(past_all_hints) {
    (void)unused;
    uintptr_t hint;
    while ((hint = first_free_hint(os_page_size())) != 0) {
        occupy(hint);
    }
    CHECK(large(100 * MIB)->base == arenas[0].base);
    CHECK(arenas[0].base % ARENA_GRAIN == 0);
    large(300 * MIB);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(opened_step_by_step) {
    (void)unused;
    CHECK(arena_add(0));
    struct arena *arena = &arenas[0];
    CHECK(arena_grow(arena, ARENA_GRAIN, 3 * ARENA_GRAIN));
    CHECK(arena_opened(arena) == 3 * ARENA_GRAIN);
    CHECK(arena_grow(arena, 2 * ARENA_GRAIN, ARENA_GRAIN));
    CHECK(arena_opened(arena) == 5 * ARENA_GRAIN);
    CHECK(pagemap_count(&arena->pages, PAGES_FREE) == 0);
    CHECK(pagemap_is_valid(&arena->pages));
    CHECK(is_zero((void *)arena->base, 5 * ARENA_GRAIN));
    fill((void *)arena->base, 5 * ARENA_GRAIN, 1);
    CHECK(!arena_grow(arena, align_up(arena->limit, ARENA_GRAIN), ARENA_GRAIN));
    CHECK(arena_opened(arena) == 5 * ARENA_GRAIN);
    CHECK(arena_page(arena, arena_address(arena, 17)) == 17);
    CHECK(arena_table_bytes(arena) > 0 && arena_table_bytes(arena) < ARENA_GRAIN);
}

/* A heap too small for one does not ask; what is beyond has none, however large the first step. */
TEST_IN_CHILD(huge_pages_are_ruled_out) {
    static const size_t first[] = {MIB, 2 * MIB, 100 * MIB};
    (void)unused;
    for (unsigned i = 0; i < COUNT_OF(first); i++) {
        CHECK(arena_add(0));
        CHECK(arena_grow(&arenas[i], first[i], first[i]));
        CHECK(arenas[i].without_huge_pages == (i == 0 ? 0 : 32 * MIB));
    }
    CHECK(arena_grow(&arenas[0], MIB, MIB));
    CHECK(arenas[0].without_huge_pages == 32 * MIB);
}

TEST_IN_CHILD(extended_in_place) {
    (void)unused;
    large(600 * MIB);
    large(600 * MIB);
    large(900 * MIB);
    CHECK(arena_count() == 1);
    CHECK(arenas[0].reserved >= 2100 * MIB);
    CHECK(arenas[0].reserved <= arenas[0].limit);
    CHECK(mheap_is_valid());
}

/* When something lies behind the first arena, another one goes on. */
TEST_IN_CHILD(further_arenas) {
    struct span *spans[32];
    unsigned count = 0;
    (void)unused;
    CHECK(arena_add(0));
    occupy(arenas[0].base + arenas[0].reserved);
    do {
        CHECK(count < COUNT_OF(spans));
        spans[count++] = large(90 * MIB);
    } while (arena_count() == 1);
    struct span *last = spans[count - 1];
    CHECK(arena_of(last->base) == &arenas[1]);
    CHECK(arena_span(last->base) == last);
    CHECK(arenas[0].base + arenas[0].reserved <= arenas[1].base ||
          arenas[1].base + arenas[1].reserved <= arenas[0].base);
    for (unsigned i = 0; i < count; i++) {
        CHECK(*(char *)spans[i]->base == 1);
        mheap_free(spans[i]);
    }
    CHECK(mheap_get_stats().in_use == 0);
    CHECK(mheap_is_valid());
}

/* The fast path knows the first arena only. */
TEST_IN_CHILD(small_objects_of_a_further_arena) {
    static void *objects[4096];
    unsigned count = 0;
    (void)unused;
    CHECK(arena_add(0));
    occupy(arenas[0].base + arenas[0].reserved);
    large(arenas[0].reserved - 16 * MIB);
    do {
        CHECK(count < COUNT_OF(objects));
        objects[count] = alloc_malloc(20000);
        CHECK(objects[count] != NULL);
        fill(objects[count], 20000, count);
        count++;
    } while (arena_of((uintptr_t)objects[count - 1]) == &arenas[0]);
    CHECK(arena_of((uintptr_t)objects[count - 1]) == &arenas[1]);
    CHECK(resize_usable_size(objects[count - 1]) == 20480);
    for (unsigned i = 0; i < count; i++) {
        CHECK(is_filled(objects[i], 20000, i));
        alloc_free(objects[i]);
    }
    CHECK(alloc_trim(0) > 0);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(little_address_space) {
    static struct span *spans[128];
    unsigned count = 0, again = 0;
    (void)unused;
    limit_address_space(64 * MIB);
    for (; (spans[count] = mheap_alloc_large(MIB, PAGE_SIZE, MHEAP_ANY)) != NULL; count++) {
        fill((void *)spans[count]->base, MIB, count);
    }
    CHECK(count >= 32 && count < 64);
    for (unsigned i = 0; i < count; i++) {
        CHECK(is_filled((void *)spans[i]->base, MIB, i));
        mheap_free(spans[i]);
    }
    while (again < count && mheap_alloc_large(MIB, PAGE_SIZE, MHEAP_ANY) != NULL) {
        again++;
    }
    CHECK(again == count);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(largest_size_by_option) {
    (void)unused;
    options.arena_max = 4 * MIB;
    CHECK(arena_add(0));
    CHECK(arenas[0].reserved <= 4 * MIB);
    for (unsigned i = 0; i < 20; i++) {
        large(MIB);
    }
    CHECK(arena_count() > 1);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(removed_again) {
    (void)unused;
    CHECK(arena_add(0));
    CHECK(arena_add(0));
    uintptr_t base = arenas[1].base;
    size_t reserved = arenas[1].reserved, table_space = arenas[1].table_space;
    char *tables = arenas[1].tables;
    CHECK(!os_reserve_at((void *)base, os_page_size()));
    arena_remove_last();
    CHECK(arena_count() == 1);
    CHECK(os_reserve_at((void *)base, reserved));
    os_unreserve((void *)base, reserved);
    CHECK(os_reserve_at(tables, table_space));
    os_unreserve(tables, table_space);
    CHECK(arena_add(0));
    CHECK(arenas[1].base == base);
}

/* What the child of a fork finds when the thread that was adding an arena is not there. */
TEST_IN_CHILD(half_an_arena) {
    (void)unused;
    CHECK(arena_add(0));
    struct arena half = arenas[0];
    arena_remove_last();
    arenas[0] = half;
    large(MIB);
    CHECK(arena_count() == 1 && mheap_is_valid());
}

TEST_IN_CHILD(page_tables) {
    (void)unused;
    CHECK(arena_add(0));
    struct arena *arena = &arenas[0];
    CHECK(arena_grow(arena, ARENA_GRAIN, MIB));
    struct span *small = span_create(arena_address(arena, 2), 3, size_class(3456));
    struct span *block = span_create(arena_address(arena, 5), 4, 0);
    arena_set_span(arena, small);
    arena_set_span(arena, block);
    for (size_t page = 0; page < 10; page++) {
        bool in_small = page >= 2 && page < 5;
        CHECK(arena->page_class[page] == (in_small ? small->class : 0));
        CHECK(arena_span(arena_address(arena, page) + 77) == (in_small    ? small
                                                              : page == 5 ? block
                                                                          : NULL));
    }
    arena_clear_span(arena, small);
    arena_clear_span(arena, block);
    for (size_t page = 0; page < 10; page++) {
        CHECK(arena->page_class[page] == 0 && arena->page_span[page] == NULL);
    }
}

/* ---- assumptions ---- */

static void check_page(const void *size) {
    arena_check_assumptions(*(const size_t *)size);
}

static void assumptions_hold(void **state) {
    static const size_t good[] = {4 * KIB, 8 * KIB, 16 * KIB, 64 * KIB};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_child_passes(check_page, &good[i]);
    }
}

static void assumptions_are_checked(void **state) {
    static const struct {
        size_t size;
        const char *text;
    } bad[] = {
        {3000, "goalloc: the system's page of 3000 bytes is no power of two from 4096 up\n"},
        {2048, "goalloc: the system's page of 2048 bytes is no power of two from 4096 up\n"},
        {0, "goalloc: the system's page of 0 bytes is no power of two from 4096 up\n"},
        {131072, "goalloc: the system's page of 131072 bytes is larger than 65536\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_child_aborts(check_page, &bad[i].size, bad[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_first_hint),
        cmocka_unit_test(past_an_occupied_hint),
        cmocka_unit_test(past_all_hints),
        cmocka_unit_test(opened_step_by_step),
        cmocka_unit_test(huge_pages_are_ruled_out),
        cmocka_unit_test(extended_in_place),
        cmocka_unit_test(further_arenas),
        cmocka_unit_test(small_objects_of_a_further_arena),
        cmocka_unit_test(little_address_space),
        cmocka_unit_test(largest_size_by_option),
        cmocka_unit_test(removed_again),
        cmocka_unit_test(half_an_arena),
        cmocka_unit_test(page_tables),
        cmocka_unit_test(assumptions_hold),
        cmocka_unit_test(assumptions_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
