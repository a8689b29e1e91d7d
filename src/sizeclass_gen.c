/*
 * The size-class table generator. It prints sizeclass_table.h on stdout; the committed copy of that
 * file is compared with a fresh run by the tests.
 *
 * The rule is that of the Go runtime's mksizeclasses: let the size grow in steps of a power of two,
 * give each size the fewest pages that waste at most an eighth at the tail of the span, merge
 * neighbours that fit the same number of objects into the same pages, and then stretch each class
 * to the largest size that still fits as many. Two things differ. C needs 16-byte alignment from 16
 * bytes up, so steps are multiples of 16 from there; and the step stays an eighth of the last power
 * of two up to the top (Go stops at 256 bytes), which keeps the waste under one eighth with the
 * fewer classes that the 512 bytes of thread-local storage can hold.
 *
 * For each class the generator proves by trying every offset in the longest span that a
 * multiplication by the class's magic number and a shift of 32 give the quotient of offset and
 * size.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE = 8192,
    MAX_SMALL = 32768,
    MAX_SPAN = 65536, /* no span of small objects is longer */
    MAX_CLASSES = 64,
    SIZE_STEP = 8,
};

struct class {
    unsigned size;
    unsigned pages;
};

static struct class classes[MAX_CLASSES]; /* classes[0] stands for "no small object" */
static unsigned class_count = 1;

static bool is_power_of_two(unsigned n) {
    return (n & (n - 1)) == 0;
}

static unsigned step_at(unsigned size, unsigned step) {
    if (!is_power_of_two(size)) {
        return step;
    }
    if (size >= 128) {
        return size / 8;
    }
    return size >= 16 ? 16 : SIZE_STEP;
}

static unsigned pages_with_little_waste(unsigned size) {
    unsigned bytes = PAGE;
    while (bytes % size > bytes / 8) {
        bytes += PAGE;
    }
    return bytes / PAGE;
}

static unsigned objects(struct class c) {
    return c.pages * PAGE / c.size;
}

static void add(unsigned size) {
    struct class c = {size, pages_with_little_waste(size)};
    struct class *last = &classes[class_count - 1];
    if (class_count > 1 && last->pages == c.pages && objects(*last) == objects(c)) {
        last->size = size;
        return;
    }
    if (class_count == MAX_CLASSES) {
        fprintf(stderr, "sizeclass_gen: more than %d classes\n", MAX_CLASSES);
        exit(1);
    }
    classes[class_count++] = c;
}

static void choose_classes(void) {
    unsigned step = SIZE_STEP;
    for (unsigned size = SIZE_STEP; size <= MAX_SMALL; size += step) {
        add(size);
        step = step_at(size, step);
    }
}

/* As many objects of a larger size: the class takes the room that would be waste. */
static void stretch_classes(void) {
    for (unsigned i = 1; i < class_count; i++) {
        unsigned bytes = classes[i].pages * PAGE;
        unsigned most = bytes / objects(classes[i]);
        unsigned align = classes[i].size >= 128 ? 128 : 16;
        most -= most % align;
        if (most > classes[i].size) {
            classes[i].size = most;
        }
    }
}

static uint32_t magic_of(unsigned size) {
    return (uint32_t)(UINT32_MAX / size) + 1;
}

static void prove_magic(unsigned size) {
    uint64_t magic = magic_of(size);
    for (uint64_t offset = 0; offset < MAX_SPAN; offset++) {
        bool starts = (uint32_t)(offset * magic) < magic;
        if (offset * magic >> 32 != offset / size || starts != (offset % size == 0)) {
            fprintf(stderr, "sizeclass_gen: magic of %u fails at %u\n", size, (unsigned)offset);
            exit(1);
        }
    }
}

static void check(void) {
    for (unsigned i = 1; i < class_count; i++) {
        bool aligned = classes[i].size == 8 || classes[i].size % 16 == 0;
        bool grows = classes[i].size > classes[i - 1].size;
        bool fits = classes[i].pages * PAGE <= MAX_SPAN;
        if (!aligned || !grows || !fits) {
            fprintf(stderr, "sizeclass_gen: class %u is wrong\n", i);
            exit(1);
        }
        prove_magic(classes[i].size);
    }
    if (classes[class_count - 1].size != MAX_SMALL) {
        fprintf(stderr, "sizeclass_gen: the last class is not %d\n", MAX_SMALL);
        exit(1);
    }
}

static double percent(double part, double whole) {
    return 100 * part / whole;
}

static void print_human_table(void) {
    printf(" * class  bytes/object  bytes/span  objects  tail waste  max waste  alignment\n");
    for (unsigned i = 1; i < class_count; i++) {
        unsigned size = classes[i].size;
        unsigned span = classes[i].pages * PAGE;
        unsigned tail = span - objects(classes[i]) * size;
        unsigned lost_at_worst = objects(classes[i]) * (size - classes[i - 1].size - 1) + tail;
        printf(" * %5u  %12u  %10u  %7u  %10u  %8.2f%%  %9u\n", i, size, span, objects(classes[i]),
               tail, percent(lost_at_worst, span), size & -size);
    }
}

static void print_array(const char *type, const char *name, const char *count,
                        const uint32_t *value, unsigned n) {
    printf("const %s %s[%s] = {", type, name, count);
    for (unsigned i = 0; i < n; i++) {
        printf(i % 16 == 0 ? "\n    %u," : " %u,", value[i]);
    }
    printf("\n};\n");
}

static void print_size_to_class(void) {
    enum { ENTRIES = MAX_SMALL / SIZE_STEP + 1 };
    static uint32_t index_to_class[ENTRIES];
    unsigned class = 1;
    for (unsigned i = 0; i < ENTRIES; i++) {
        while (classes[class].size < i * SIZE_STEP) {
            class++;
        }
        index_to_class[i] = class;
    }
    print_array("uint8_t", "size_to_class", "MAX_SMALL_SIZE / SIZE_STEP + 1", index_to_class,
                ENTRIES);
}

int main(void) {
    uint32_t size[MAX_CLASSES], pages[MAX_CLASSES], magic[MAX_CLASSES];
    choose_classes();
    stretch_classes();
    check();
    for (unsigned i = 0; i < class_count; i++) {
        size[i] = classes[i].size;
        pages[i] = classes[i].pages;
        magic[i] = i == 0 ? 0 : magic_of(classes[i].size);
    }
    printf("/*\n * Written by sizeclass_gen.c; do not edit.\n *\n");
    print_human_table();
    printf(" */\n#ifndef GOALLOC_SIZECLASS_TABLE_H\n#define GOALLOC_SIZECLASS_TABLE_H\n\n"
           "#include \"sizeclass.h\"\n\n"
           "#include <assert.h>\n\n");
    printf("static_assert(CLASS_COUNT == %u, \"sizeclass.h: class 0 included\");\n", class_count);
    printf("static_assert(SIZE_STEP == %d, \"sizeclass.h\");\n", SIZE_STEP);
    printf("static_assert(MAX_SMALL_SIZE == %d, \"sizeclass.h\");\n", MAX_SMALL);
    printf("static_assert(MAX_SPAN_BYTES == %d, \"sizeclass.h\");\n", MAX_SPAN);
    printf("static_assert(PAGE_SIZE == %d, \"base.h\");\n\n", PAGE);
    print_array("uint16_t", "class_to_size", "CLASS_COUNT", size, class_count);
    print_array("uint8_t", "class_to_pages", "CLASS_COUNT", pages, class_count);
    print_array("uint32_t", "class_to_magic", "CLASS_COUNT", magic, class_count);
    print_size_to_class();
    printf("\n#endif\n");
    return 0;
}
