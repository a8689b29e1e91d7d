/*
 * The options: whatever stands in the environment, values stay in their ranges, what is refused
 * changes nothing and draws one warning, and what is a value is taken as it is.
 *
 * The module is included, not linked, since it reads the environment once in a process; and what it
 * says comes here.
 */
#include "fuzz.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "../../src/options.c"

enum { LONGEST = 1024 };

static unsigned warnings;

void warn(const char *format, ...) {
    char sentence[512];
    va_list arguments;
    va_start(arguments, format);
    size_t length = print_to(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    REQUIRE(length > 0 && length == strlen(sentence) && length < sizeof sentence - 1);
    warnings++;
}

_Noreturn void fatal(const char *format, ...) {
    (void)format;
    abort();
}

static void check_ranges(void) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        REQUIRE(*table[i].value >= table[i].least && *table[i].value <= table[i].most);
    }
}

/* Any bytes, NULs, too. */
static void set_any(struct input *input) {
    struct options before = options;
    char name[LONGEST], value[LONGEST];
    size_t name_length = take_bytes(input, name, take_below(input, 64));
    size_t value_length = take_bytes(input, value, take_below(input, 64));
    warnings = 0;
    bool set = options_set("a source", name, name_length, value, value_length);
    REQUIRE(warnings == (set ? 0 : 1));
    REQUIRE(set || memcmp(&options, &before, sizeof before) == 0);
}

static size_t text_of(const struct option *option, size_t value, bool other_way, char *out) {
    if (option->kind == CHOICE) {
        return print_buffer(out, LONGEST, "%s", choices[value]);
    }
    if (option->kind == FLAG) {
        return print_buffer(out, LONGEST, "%s", flags[other_way ? 3 : 0][value]);
    }
    bool whole = option->kind == SIZE && value % KIB == 0 && other_way;
    return print_buffer(out, LONGEST, "%zu%s", whole ? value / KIB : value, whole ? "K" : "");
}

/* A valid value of an option, by its text. */
static void set_valid(struct input *input) {
    const struct option *option = &table[take_below(input, OPTION_COUNT)];
    size_t shift = take(input, 1) % 48, value = take(input, 8) >> shift;
    size_t range = option->most - option->least + 1;
    char text[LONGEST];
    value = option->least + (range != 0 ? value % range : value);
    size_t length = text_of(option, value, take(input, 1) & 1, text);
    warnings = 0;
    REQUIRE(options_set("a source", option->name, strlen(option->name), text, length));
    REQUIRE(*option->value == value && warnings == 0);
}

/* A number at one of the ends of an option's range, or just beyond. */
static void set_border(struct input *input) {
    const struct option *option = &table[take_below(input, OPTION_COUNT)];
    const size_t values[] = {option->least - 1, option->least, option->most, option->most + 1};
    size_t value = values[take(input, 1) % COUNT_OF(values)];
    bool is_within = value >= option->least && value <= option->most;
    char text[LONGEST];
    size_t length = print_buffer(text, sizeof text, "%zu", value);
    warnings = 0;
    if (option->kind != CHOICE) {
        bool set = options_set("a source", option->name, strlen(option->name), text, length);
        REQUIRE(set == is_within && warnings == !set);
        REQUIRE(!set || *option->value == value);
    }
}

/* A whole entry of the environment. */
static void load_any(struct input *input, bool (*load)(const char *), const char *start) {
    char text[LONGEST + 1] = {0};
    size_t length = print_buffer(text, sizeof text, "%s", start);
    take_bytes(input, text + length, take(input, 2) % (LONGEST - length));
    warnings = 0;
    REQUIRE(load(text) == (warnings == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    while (input.left > 0) {
        switch (take(&input, 1) % 5) {
        case 0:
            set_any(&input);
            break;
        case 1:
            set_valid(&input);
            break;
        case 2:
            load_any(&input, load_conf, "");
            break;
        case 3:
            set_border(&input);
            break;
        default:
            load_any(&input, load_variable, prefix);
            break;
        }
        check_ranges();
    }
    options_print();
    return 0;
}
