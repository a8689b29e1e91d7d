/* Canaries and poison: where a block lies in its object, and that each byte which is written
 * outside of it is found. */
#include "support.h"

#include <string.h>

#include "bytes.h"
#include "contents.h"
#include "mheap.h"
#include "options.h"

static struct span *new_span(size_t align, size_t size) {
    options.check = CHECK_CONTENTS;
    unsigned class = contents_class(align, size);
    CHECK(class != 0);
    struct span *span = mheap_alloc_small(class, 1, MHEAP_ANY);
    CHECK(span != NULL);
    return span;
}

TEST_IN_CHILD(every_size_fits) {
    (void)unused;
    for (size_t align = 8; align <= 4096; align *= 2) {
        for (size_t size = 0; size < 3000; size += 1 + size / 10) {
            struct span *span = new_span(align, size);
            uintptr_t object = span_object(span, 0), end = object + class_to_size[span->class];
            char *block = contents_begin((void *)object, align, size);
            CHECK(is_aligned_to(block, align) && is_aligned_to(block, 16));
            CHECK((uintptr_t)block >= object + 16 && (uintptr_t)block + size < end);
            CHECK(contents_size(block) == size);
            memset(block, 0xff, size);
            CHECK(contents_end("free", block) == (void *)object);
            CHECK(bytes_first_other(block, size, BYTES_POISON) == NULL);
            mheap_free(span);
        }
    }
    CHECK(contents_class(16, MAX_SMALL_SIZE) == 0 && contents_class(16, SIZE_MAX) == 0);
}

TEST_IN_CHILD(used_again) {
    (void)unused;
    struct span *span = new_span(16, 40);
    void *object = (void *)span_object(span, 1);
    for (size_t size = 0; size <= 40; size++) {
        char *block = contents_begin(object, 16, size);
        memset(block, (int)size, size);
        contents_end("free", block);
    }
    options.zero_freed = true;
    char *block = contents_begin((void *)span_object(span, 2), 16, 40);
    memset(block, 1, 40);
    contents_end("free", block);
    CHECK(is_zero(block, 40));
    contents_begin((void *)span_object(span, 2), 16, 10);
}

struct change {
    int offset; /* in the block, which has 40 bytes */
    bool freed;
    const char *text;
};

static void change(const void *argument) {
    const struct change *c = argument;
    struct span *span = new_span(16, 40);
    void *object = (void *)span_object(span, 1);
    char *block = contents_begin(object, 16, 40);
    if (!c->freed) {
        block[c->offset] = 1;
    }
    contents_end("free", block);
    block[c->offset] ^= 1;
    contents_begin(object, 16, 8);
}

static void changes(void **state) {
    static const struct change cases[] = {
        {40, false, "overflow: byte 40 of a block of 40 bytes was written\n"},
        {-1, false, "underflow: 1 bytes before a block of 40 bytes were written\n"},
        {-16, false, "underflow: 16 bytes before a block of 40 bytes were written\n"},
        {0, true, "write after free: byte 0 of a freed block of 40 bytes\n"},
        {39, true, "write after free: byte 39 of a freed block of 40 bytes\n"},
        {40, true, "write after free: byte 40 of a freed block of 40 bytes\n"},
        {-16, true, "write after free: byte -16 of a freed block of 40 bytes\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct child child;
        run_child(&child, change, &cases[i]);
        if (strstr(child.text, cases[i].text) == NULL) {
            fail_msg("case %zu: %s", i, child.text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_fits),
        cmocka_unit_test(used_again),
        cmocka_unit_test(changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
