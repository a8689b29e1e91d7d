/* Which span an address belongs to, and what is said where it belongs to none. */
#include "support.h"

#include <string.h>

#include "alloc.h"
#include "block.h"

struct lookup {
    size_t size;      /* of the block */
    size_t offset;    /* of the address in it */
    bool freed;       /* before */
    const char *text; /* of the message; NULL: none */
};

static void look_up(const void *argument) {
    const struct lookup *lookup = argument;
    char *block = alloc_malloc(lookup->size);
    const struct arena *arena = arena_of((uintptr_t)block);
    if (lookup->freed) {
        alloc_free(block);
    }
    struct span *span = block_require("free", arena, block + lookup->offset);
    CHECK(span->base == align_down((uintptr_t)block, PAGE_SIZE));
}

static void lookups(void **state) {
    static const struct lookup cases[] = {
        {64, 0, false, NULL},
        {64, 0, true, NULL}, /* a cache has it: no one knows here */
        {100000, 0, false, NULL},
        {64, 1, false, "pointer into the middle of a 64-byte object that starts at 0x"},
        {64, 63, false, "pointer into the middle of a 64-byte object that starts at 0x"},
        {100000, 8, false, "pointer into the middle of a block of 106496 bytes that starts at 0x"},
        {100000, 99999, false, "pointer into the middle of a block of 106496 bytes that starts"},
        {100000, 0, true, "double free or wild pointer: no block in use is there\n"},
        {100000, 50000, true, "double free or wild pointer: no block in use is there\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct child child;
        run_child(&child, look_up, &cases[i]);
        bool good = cases[i].text == NULL ? child.status == 0 && child.length == 0
                                          : strstr(child.text, cases[i].text) != NULL;
        if (!good) {
            fail_msg("case %zu: %s", i, child.text);
        }
    }
}

static void fail_free(const void *call) {
    block_fail_free(call, (void *)0x1000, 24);
}

static void free_blocks(void **state) {
    (void)state;
    assert_child_aborts(fail_free, "free",
                        "goalloc: free(0x1000): double free of a 24-byte object\n");
    assert_child_aborts(fail_free, "realloc",
                        "goalloc: realloc(0x1000): the 24-byte object is free already\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups),
        cmocka_unit_test(free_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
