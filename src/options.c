/* Parsing of the options. See options.h and README.md. */
#include "options.h"

#include <stdint.h>
#include <string.h>

#include "fatal.h"
#include "os.h"
#include "print.h"

enum option_kind { FLAG, NUMBER, SIZE, CHOICE };

struct option {
    const char *name;
    const char *help;
    size_t initial;
    size_t least;
    size_t most;
    size_t *value;
    enum option_kind kind;
};

#define OPTION_DEFAULT(field, name, kind, initial, least, most, help) .field = (initial),
struct options options = {OPTIONS(OPTION_DEFAULT)};

#define OPTION_ROW(field, name, kind, initial, least, most, help)                                  \
    {name, help, initial, least, most, &options.field, kind},
static const struct option table[] = {OPTIONS(OPTION_ROW)};

enum { OPTION_COUNT = sizeof table / sizeof table[0], WORD_SIZE = 48 };

static const char *const choices[] = {"forward", "warn", "ignore", "abort"};
static const char *const flags[][2] = {{"0", "1"}, {"false", "true"}, {"no", "yes"}, {"off", "on"}};

static HOT_CONSTANT const char prefix[] = "GOALLOC_";
enum { PREFIX_LENGTH = sizeof prefix - 1 };

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_word(const char *a, size_t length, const char *b) {
    for (size_t i = 0; i < length; i++) {
        if (b[i] == '\0' || lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return b[length] == '\0';
}

static bool parse_flag(const char *text, size_t length, size_t *out) {
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        for (size_t value = 0; value <= 1; value++) {
            if (same_word(text, length, flags[i][value])) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

static bool parse_choice(const char *text, size_t length, size_t *out) {
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (same_word(text, length, choices[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

static unsigned unit_shift(char unit) {
    switch (lower(unit)) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    default:
        return 0;
    }
}

static bool parse_size(const char *text, size_t length, size_t *out) {
    size_t value = 0, i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
        if (value > (SIZE_MAX - 9) / 10) {
            return false;
        }
        value = value * 10 + (size_t)(text[i] - '0');
    }
    unsigned shift = i < length ? unit_shift(text[i]) : 0;
    bool whole = i > 0 && i + (shift != 0) == length;
    if (!whole || value > SIZE_MAX >> shift) {
        return false;
    }
    *out = value << shift;
    return true;
}

/* Where it stands for a choice, "on" and "no" will do for 1 and 0. */
static bool parse_number(const char *text, size_t length, size_t *out) {
    return parse_flag(text, length, out) ||
           (length > 0 && unit_shift(text[length - 1]) == 0 && parse_size(text, length, out));
}

static bool parse_value(const struct option *option, const char *text, size_t length, size_t *out) {
    bool parsed = option->kind == FLAG     ? parse_flag(text, length, out)
                  : option->kind == CHOICE ? parse_choice(text, length, out)
                  : option->kind == SIZE   ? parse_size(text, length, out)
                                           : parse_number(text, length, out);
    return parsed && *out >= option->least && *out <= option->most;
}

/* Levenshtein's distance, in one row. Words longer than the row are far from everything. */
static size_t distance(const char *a, size_t a_length, const char *b) {
    size_t row[WORD_SIZE];
    size_t b_length = strlen(b);
    if (a_length >= WORD_SIZE || b_length >= WORD_SIZE) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = row[j];
            row[j] = min_size(change, min_size(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_length];
}

static const struct option *nearest(const char *name, size_t length) {
    const struct option *best = NULL;
    size_t best_distance = 4; /* farther than three letters is no typing error */
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        size_t d = distance(name, length, table[i].name);
        if (d < best_distance) {
            best_distance = d;
            best = &table[i];
        }
    }
    return best;
}

static void copy_word(char *out, const char *text, size_t length) {
    length = min_size(length, WORD_SIZE - 1);
    memcpy(out, text, length);
    out[length] = '\0';
}

static void complain_name(const char *source, const char *name, size_t length) {
    char word[WORD_SIZE];
    copy_word(word, name, length);
    const struct option *near = nearest(name, length);
    if (near != NULL) {
        warn("unknown option %s in %s (did you mean %s?)", word, source, near->name);
    } else {
        warn("unknown option %s in %s (GOALLOC_VERBOSE=1 lists them)", word, source);
    }
}

static void complain_value(const char *source, const struct option *option, const char *value,
                           size_t length) {
    char word[WORD_SIZE];
    copy_word(word, value, length);
    if (option->kind == FLAG) {
        warn("option %s in %s: '%s' is not 0 or 1; kept %zu", option->name, source, word,
             *option->value);
    } else if (option->kind == NUMBER) {
        warn("option %s in %s: '%s' is not a number from %zu to %zu; kept %zu", option->name,
             source, word, option->least, option->most, *option->value);
    } else if (option->kind == CHOICE) {
        warn("option %s in %s: '%s' is not forward, warn, ignore or abort; kept %s", option->name,
             source, word, choices[*option->value]);
    } else {
        warn("option %s in %s: '%s' is not a size from %zu to %zu (k, m, g allowed); kept %zu",
             option->name, source, word, option->least, option->most, *option->value);
    }
}

bool options_set(const char *source, const char *name, size_t name_length, const char *value,
                 size_t value_length) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!same_word(name, name_length, table[i].name)) {
            continue;
        }
        size_t parsed;
        if (parse_value(&table[i], value, value_length, &parsed)) {
            *table[i].value = parsed;
            return true;
        }
        complain_value(source, &table[i], value, value_length);
        return false;
    }
    complain_name(source, name, name_length);
    return false;
}

static size_t length_to(const char *text, char stop) {
    size_t length = 0;
    while (text[length] != '\0' && text[length] != stop) {
        length++;
    }
    return length;
}

/* "name:value,name:value"; empty parts are skipped. */
static bool load_conf(const char *conf) {
    bool good = true;
    while (*conf != '\0') {
        size_t part = length_to(conf, ',');
        size_t name = min_size(length_to(conf, ':'), part);
        if (part > 0) {
            size_t value = min_size(name + 1, part);
            good &= options_set("GOALLOC_CONF", conf, name, conf + value, part - value);
        }
        conf += part + (conf[part] == ',');
    }
    return good;
}

static HOT_CONSTANT const char conf_variable[] = "GOALLOC_CONF=";

static bool is_conf(const char *entry) {
    return strncmp(entry, conf_variable, sizeof conf_variable - 1) == 0;
}

static bool load_variable(const char *entry) {
    if (strncmp(entry, prefix, PREFIX_LENGTH) != 0 || is_conf(entry)) {
        return true;
    }
    const char *name = entry + PREFIX_LENGTH;
    size_t length = length_to(name, '=');
    const char *value = name + length + (name[length] == '=');
    return options_set("the environment", name, length, value, strlen(value));
}

void options_load(char **environment) {
    static bool loaded;
    if (loaded || environment == NULL) {
        return;
    }
    loaded = true;
    if (os_is_secure()) {
        return;
    }
    bool good = true;
    for (char **entry = environment; *entry != NULL; entry++) {
        if (is_conf(*entry)) {
            good &= load_conf(*entry + sizeof conf_variable - 1);
        }
    }
    for (char **entry = environment; *entry != NULL; entry++) {
        good &= load_variable(*entry);
    }
    if (!good && options.abort_conf) {
        fatal("a wrong option, and ABORT_CONF is set");
    }
}

void options_protect(void) {
    if (os_page_size() <= OPTIONS_PAGE) {
        os_open_for_reading(&options, sizeof options);
    }
}

void options_print(void) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *mark = *table[i].value == table[i].initial ? "" : " (set)";
        if (table[i].kind == CHOICE) {
            warn("  %18s%s%s: %s", table[i].name, choices[*table[i].value], mark, table[i].help);
        } else {
            warn("  %18s%zu%s: %s", table[i].name, *table[i].value, mark, table[i].help);
        }
    }
}
