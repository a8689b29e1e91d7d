/* Messages and abort. See fatal.h and README.md. */
#include "fatal.h"

#include <stdarg.h>
#include <stdlib.h>

#include "print.h"

enum { SENTENCE_SIZE = 512 };

#define FORMAT(sentence, format)                                                                   \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        print_to(sentence, sizeof sentence, format, arguments);                                    \
        va_end(arguments);                                                                         \
    } while (0)

void fatal(const char *format, ...) {
    char sentence[SENTENCE_SIZE];
    FORMAT(sentence, format);
    print_fd(STDERR, "goalloc: %s\n", sentence);
    abort();
}

void fatal_misuse(const char *call, const void *pointer, const char *format, ...) {
    char sentence[SENTENCE_SIZE];
    FORMAT(sentence, format);
    print_fd(STDERR, "goalloc: %s(%p): %s\n", call, pointer, sentence);
    abort();
}

void warn(const char *format, ...) {
    char sentence[SENTENCE_SIZE];
    FORMAT(sentence, format);
    print_fd(STDERR, "goalloc: %s\n", sentence);
}
