/*
 * The option parser: every kind of value, every complaint word for word, and which of two sources
 * wins. Each case runs in a child, since options are global and are loaded once. That a process
 * with raised rights ignores its environment is not tested here: it takes a set-uid program.
 */
#include "support.h"

#include <string.h>
#include <sys/wait.h>

#include "options.h"

struct set_case {
    const char *name;
    const char *value;
    size_t field; /* its offset */
    size_t want;
    const char *warning; /* NULL: accepted */
};

#define FIELD(name) offsetof(struct options, name)
#define SAYS(text) "goalloc: " text "\n"
#define UNCHANGED SIZE_MAX

static size_t field_at(size_t offset) {
    return *(const size_t *)((const char *)&options + offset);
}

static void set_one(const void *argument) {
    const struct set_case *c = argument;
    size_t before = field_at(c->field);
    bool good = options_set("here", c->name, strlen(c->name), c->value, strlen(c->value));
    CHECK(good == (c->warning == NULL));
    CHECK(field_at(c->field) == (c->want == UNCHANGED ? before : c->want));
}

static void set_all(const struct set_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct child child;
        run_child(&child, set_one, &cases[i]);
        assert_string_equal(child.text, cases[i].warning == NULL ? "" : cases[i].warning);
        assert_int_equal(child.status, 0);
    }
}

static void flags(void **state) {
    static const struct set_case cases[] = {
        {"verbose", "1", FIELD(verbose), 1, NULL},
        {"VERBOSE", "true", FIELD(verbose), 1, NULL},
        {"Verbose", "YES", FIELD(verbose), 1, NULL},
        {"check", "On", FIELD(check), 1, NULL},
        {"check", "0", FIELD(check), 0, NULL},
        {"abort_conf", "false", FIELD(abort_conf), 0, NULL},
        {"ABORT_CONF", "no", FIELD(abort_conf), 0, NULL},
        {"stats", "OFF", FIELD(stats), 0, NULL},
        {"stats", "2", FIELD(stats), UNCHANGED,
         SAYS("option STATS in here: '2' is not 0 or 1; kept 0")},
        {"stats", "", FIELD(stats), UNCHANGED,
         SAYS("option STATS in here: '' is not 0 or 1; kept 0")},
        {"stats", "tru", FIELD(stats), UNCHANGED,
         SAYS("option STATS in here: 'tru' is not 0 or 1; kept 0")},
        {"stats", "truer", FIELD(stats), UNCHANGED,
         SAYS("option STATS in here: 'truer' is not 0 or 1; kept 0")},
    };
    (void)state;
    set_all(cases, COUNT_OF(cases));
}

#define NOT_A_CHECK(value)                                                                         \
    {                                                                                              \
        "check", value, FIELD(check), UNCHANGED,                                                   \
            SAYS("option CHECK in here: '" value "' is not a number from 0 to 3; kept 0")          \
    }

static void numbers(void **state) {
    static const struct set_case cases[] = {
        {"check", "2", FIELD(check), CHECK_CONTENTS, NULL},
        {"CHECK", "03", FIELD(check), CHECK_SAMPLES, NULL},
        {"check", "off", FIELD(check), CHECK_OFF, NULL},
        {"guard_rate", "100000", FIELD(guard_rate), 100000, NULL},
        NOT_A_CHECK("4"),
        NOT_A_CHECK(""),
        NOT_A_CHECK("0k"),
        NOT_A_CHECK("-1"),
        NOT_A_CHECK("two"),
        {"guard_slots", "1", FIELD(guard_slots), UNCHANGED,
         SAYS("option GUARD_SLOTS in here: '1' is not a number from 2 to 32768; kept 8192")},
    };
    (void)state;
    set_all(cases, COUNT_OF(cases));
}

static void choices(void **state) {
    static const struct set_case cases[] = {
        {"foreign", "forward", FIELD(foreign), FOREIGN_FORWARD, NULL},
        {"foreign", "WARN", FIELD(foreign), FOREIGN_WARN, NULL},
        {"foreign", "ignore", FIELD(foreign), FOREIGN_IGNORE, NULL},
        {"foreign", "abort", FIELD(foreign), FOREIGN_ABORT, NULL},
        {"foreign", "1", FIELD(foreign), UNCHANGED,
         SAYS("option FOREIGN in here: '1' is not forward, warn, ignore or abort; kept forward")},
    };
    (void)state;
    set_all(cases, COUNT_OF(cases));
}

#define NO_SIZE(value)                                                                             \
    SAYS("option THREAD_CACHE_MAX in here: '" value                                                \
         "' is not a size from 16384 to 1073741824 (k, m, g allowed); kept 4194304")
#define SIZE_CASE(value, want)                                                                     \
    { "thread_cache_max", value, FIELD(thread_cache_max), want, NULL }
#define BAD_SIZE(value)                                                                            \
    { "thread_cache_max", value, FIELD(thread_cache_max), UNCHANGED, NO_SIZE(value) }

static void sizes(void **state) {
    static const struct set_case cases[] = {
        SIZE_CASE("16384", 16 * KIB),
        SIZE_CASE("16k", 16 * KIB),
        SIZE_CASE("0017K", 17 * KIB),
        SIZE_CASE("1m", MIB),
        SIZE_CASE("3M", 3 * MIB),
        SIZE_CASE("1g", GIB),
        SIZE_CASE("1073741824", GIB),
        {"cache_max", "0", FIELD(cache_max), 0, NULL},
        {"cache_max", "0g", FIELD(cache_max), 0, NULL},
        {"arena_max", "512G", FIELD(arena_max), 512 * GIB, NULL},
        BAD_SIZE("16383"),
        BAD_SIZE("1073741825"),
        BAD_SIZE("2g"),
        BAD_SIZE(""),
        BAD_SIZE("k"),
        BAD_SIZE("-1"),
        BAD_SIZE("+32k"),
        BAD_SIZE(" 32k"),
        BAD_SIZE("32 k"),
        BAD_SIZE("32kk"),
        BAD_SIZE("32kb"),
        BAD_SIZE("32t"),
        BAD_SIZE("0x8000"),
        BAD_SIZE("1.5m"),
        BAD_SIZE("many"),
    };
    (void)state;
    set_all(cases, COUNT_OF(cases));
}

/* Each would be an allowed size if the arithmetic wrapped around. */
static void sizes_that_overflow(void **state) {
    static const struct set_case cases[] = {
        BAD_SIZE("18446744073709551615"), BAD_SIZE("18446744073709584384"),
        BAD_SIZE("18014398509481984k"),   BAD_SIZE("18014398509482016k"),
        BAD_SIZE("17592186044417m"),      BAD_SIZE("99999999999999999999999999999999"),
    };
    (void)state;
    set_all(cases, COUNT_OF(cases));
}

#define BAD_NAME(name, warning)                                                                    \
    { name, "1", FIELD(verbose), UNCHANGED, SAYS("unknown option " warning) }

static void unknown_names(void **state) {
    static const struct set_case cases[] = {
        BAD_NAME("verbos", "verbos in here (did you mean VERBOSE?)"),
        BAD_NAME("STAT", "STAT in here (did you mean STATS?)"),
        BAD_NAME("tread-cache-max", "tread-cache-max in here (did you mean THREAD_CACHE_MAX?)"),
        BAD_NAME("verbosee", "verbosee in here (did you mean VERBOSE?)"),
        BAD_NAME("prof", "prof in here (GOALLOC_VERBOSE=1 lists them)"),
        BAD_NAME("something_else", "something_else in here (GOALLOC_VERBOSE=1 lists them)"),
        BAD_NAME("0123456789012345678901234567890123456789012345678901234567890123456789",
                 "01234567890123456789012345678901234567890123456 in here "
                 "(GOALLOC_VERBOSE=1 lists them)"),
    };
    (void)state;
    set_all(cases, COUNT_OF(cases));
}

/* ---- environments ---- */

struct load_case {
    const char *environment[8];
    struct options want;
    const char *warnings;
};

#define DEFAULT_OPTION(field, name, kind, initial, least, most, help) .field = (initial),
#define DEFAULTS OPTIONS(DEFAULT_OPTION)

/* A parser does not write to the environment, whatever its type. */
static void load(const char *const *environment) {
    options_load((char **)(uintptr_t)environment);
}

static void load_one(const void *argument) {
    const struct load_case *c = argument;
    load(c->environment);
    CHECK(memcmp(&options, &c->want, sizeof options) == 0);
}

static void load_all(const struct load_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct child child;
        run_child(&child, load_one, &cases[i]);
        assert_string_equal(child.text, cases[i].warnings);
        assert_int_equal(child.status, 0);
    }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static void environments(void **state) {
    static const struct load_case cases[] = {
        {{NULL}, {DEFAULTS}, ""},
        {{"PATH=/bin", "GOALLOC=1", "XGOALLOC_CHECK=1", NULL}, {DEFAULTS}, ""},
        {{"GOALLOC_CHECK=1", NULL}, {DEFAULTS.check = 1}, ""},
        {{"GOALLOC_CONF=check:yes,cache_max:4m", NULL},
         {DEFAULTS.check = 1, .cache_max = 4 * MIB},
         ""},
        {{"GOALLOC_CONF=,,stats:1,,", NULL}, {DEFAULTS.stats = 1}, ""},
        {{"GOALLOC_CONF=", NULL}, {DEFAULTS}, ""},
        {{"GOALLOC_CONF=cache_max:1m,cache_max:2m", NULL}, {DEFAULTS.cache_max = 2 * MIB}, ""},
        {{"GOALLOC_CACHE_MAX=1m", "GOALLOC_CONF=cache_max:2m,foreign:warn", NULL},
         {DEFAULTS.cache_max = MIB, .foreign = FOREIGN_WARN},
         ""},
        {{"GOALLOC_CONF=cache_max:2m", "GOALLOC_CACHE_MAX=1m", NULL},
         {DEFAULTS.cache_max = MIB},
         ""},
    };
    (void)state;
    load_all(cases, COUNT_OF(cases));
}

static void wrong_environments(void **state) {
    static const struct load_case cases[] = {
        {{"GOALLOC_CHEK=1", NULL},
         {DEFAULTS},
         SAYS("unknown option CHEK in the environment (did you mean CHECK?)")},
        {{"GOALLOC_CONF=check", NULL},
         {DEFAULTS},
         SAYS("option CHECK in GOALLOC_CONF: '' is not a number from 0 to 3; kept 0")},
        {{"GOALLOC_CONF=check=1,stats:1", NULL},
         {DEFAULTS.stats = 1},
         SAYS("unknown option check=1 in GOALLOC_CONF (did you mean CHECK?)")},
        {{"GOALLOC_STATS=maybe", "GOALLOC_CONF=bogus_option:1,stats:1", NULL},
         {DEFAULTS.stats = 1},
         SAYS("unknown option bogus_option in GOALLOC_CONF (GOALLOC_VERBOSE=1 lists them)")
             SAYS("option STATS in the environment: 'maybe' is not 0 or 1; kept 1")},
    };
    (void)state;
    load_all(cases, COUNT_OF(cases));
}
#pragma GCC diagnostic pop

static void load_twice(const void *unused) {
    (void)unused;
    options_load(NULL); /* too early in the process: does not count */
    load((const char *[]){"GOALLOC_STATS=1", NULL});
    CHECK(options.stats == 1);
    load((const char *[]){"GOALLOC_STATS=0", NULL});
    CHECK(options.stats == 1);
}

static void loaded_once(void **state) {
    (void)state;
    assert_child_passes(load_twice, NULL);
}

static void load_wrong_and_abort(const void *unused) {
    (void)unused;
    load((const char *[]){"GOALLOC_ABORT_CONF=1", "GOALLOC_CONF=stats:x", NULL});
}

static void abort_conf(void **state) {
    (void)state;
    assert_child_aborts(load_wrong_and_abort, NULL,
                        SAYS("option STATS in GOALLOC_CONF: 'x' is not 0 or 1; kept 0")
                            SAYS("a wrong option, and ABORT_CONF is set"));
}

static void print_some(const void *unused) {
    (void)unused;
    options.foreign = FOREIGN_IGNORE;
    options.cache_max = 12345;
    options_print();
}

static void listing(void **state) {
    struct child child;
    (void)state;
    run_child(&child, print_some, NULL);
    assert_non_null(strstr(child.text, "goalloc:   FOREIGN           ignore (set): "));
    assert_non_null(strstr(child.text, "goalloc:   CACHE_MAX         12345 (set): "));
    assert_non_null(strstr(child.text, "goalloc:   CHECK             0: "));
    assert_int_equal(child.status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags),
        cmocka_unit_test(numbers),
        cmocka_unit_test(choices),
        cmocka_unit_test(sizes),
        cmocka_unit_test(sizes_that_overflow),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(environments),
        cmocka_unit_test(wrong_environments),
        cmocka_unit_test(loaded_once),
        cmocka_unit_test(abort_conf),
        cmocka_unit_test(listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
