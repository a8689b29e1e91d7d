/*
 * The formatting: each conversion with any value and width, into a buffer of any size, gives what
 * the C library's snprintf does.
 */
#include "fuzz.h"

#include <string.h>

#include "base.h"
#include "print.h"

enum { LARGEST = 200 };

static char ours[LARGEST + 1], theirs[LARGEST + 1];

static void compare(size_t size, size_t length, int wanted) {
    REQUIRE(wanted >= 0 && length == min_size((size_t)wanted, size - 1));
    REQUIRE(strlen(ours) == length && strcmp(ours, theirs) == 0);
    REQUIRE(ours[size] == '#');
}

/* The same format to both; only with %x do they differ in what the letter takes. */
#define BOTH(format, ...)                                                                          \
    do {                                                                                           \
        memset(ours, '#', sizeof ours);                                                            \
        size_t length = print_buffer(ours, size, format, __VA_ARGS__);                             \
        compare(size, length, snprintf(theirs, size, format, __VA_ARGS__));                        \
    } while (0)

static void step(struct input *input) {
    size_t kind = take(input, 1), size = 1 + take(input, 1) % LARGEST;
    size_t value = take(input, 8) >> take(input, 1) % 64;
    char text[64] = "";
    take_bytes(input, text, take(input, 1) % sizeof text);
    switch (kind % 8) {
    case 0:
        BOTH("%zu of %zu%%", value, value / 3);
        break;
    case 1:
        BOTH("<%12zu|%3u>", value, (unsigned)value);
        break;
    case 2:
        BOTH("%d and %d", (int)value, -(int)(value >> 33));
        break;
    case 3:
        BOTH("%s: %u", text, (unsigned)value);
        break;
    case 4:
        BOTH("a%sz%s", text, text);
        break;
    case 5:
        BOTH("%p %s", (void *)(value | 1), text);
        break;
    case 6:
        memset(ours, '#', sizeof ours);
        compare(size, print_buffer(ours, size, "0x%x", (uintptr_t)value),
                snprintf(theirs, size, "0x%zx", value));
        break;
    default: /* ours fills on the right */
        memset(ours, '#', sizeof ours);
        compare(size, print_buffer(ours, size, "[%18s]", text),
                snprintf(theirs, size, "[%-18s]", text));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    while (input.left > 0) {
        step(&input);
    }
    return 0;
}
