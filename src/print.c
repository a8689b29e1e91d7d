/* Formatting into a fixed buffer. See print.h and README.md. */
#include "print.h"

#include <stdbool.h>
#include <stdint.h>

#include "base.h"
#include "os.h"

enum { LINE_SIZE = 1024, DIGITS = 20 };

struct sink {
    char *out;
    size_t size;
    size_t length;
};

static void put(struct sink *sink, char c) {
    if (sink->length + 1 < sink->size) {
        sink->out[sink->length++] = c;
    }
}

static void put_text(struct sink *sink, const char *text, size_t width) {
    if (text == NULL) {
        text = "(null)";
    }
    size_t length = 0;
    for (; text[length] != '\0'; length++) {
        put(sink, text[length]);
    }
    for (; length < width; length++) {
        put(sink, ' ');
    }
}

static void put_number(struct sink *sink, uint64_t value, unsigned base, size_t width) {
    char digits[DIGITS];
    size_t length = 0;
    do {
        digits[length++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    for (size_t i = length; i < width; i++) {
        put(sink, ' ');
    }
    while (length > 0) {
        put(sink, digits[--length]);
    }
}

static void put_int(struct sink *sink, int value) {
    if (value < 0) {
        put(sink, '-');
    }
    put_number(sink, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, 0);
}

size_t print_to(char *out, size_t size, const char *format, va_list arguments) {
    struct sink sink = {out, size, 0};
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != '%') {
            put(&sink, *f);
            continue;
        }
        size_t width = 0;
        for (f++; *f >= '0' && *f <= '9'; f++) {
            width = width * 10 + (size_t)(*f - '0');
        }
        switch (*f) {
        case 's':
            put_text(&sink, va_arg(arguments, const char *), width);
            break;
        case 'd':
            put_int(&sink, va_arg(arguments, int));
            break;
        case 'u':
            put_number(&sink, va_arg(arguments, unsigned), 10, width);
            break;
        case 'z': /* only %zu */
            f++;
            put_number(&sink, va_arg(arguments, size_t), 10, width);
            break;
        case 'p':
            put_text(&sink, "0x", 0);
            put_number(&sink, (uintptr_t)va_arg(arguments, void *), 16, 0);
            break;
        case 'x':
            put_number(&sink, va_arg(arguments, uintptr_t), 16, 0);
            break;
        default:
            put(&sink, *f);
            break;
        }
    }
    out[sink.length] = '\0';
    return sink.length;
}

size_t print_buffer(char *out, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t length = print_to(out, size, format, arguments);
    va_end(arguments);
    return length;
}

void print_fd(int fd, const char *format, ...) {
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    size_t length = print_to(line, sizeof line, format, arguments);
    va_end(arguments);
    os_write(fd, line, length);
}
