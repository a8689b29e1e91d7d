/*
 * Contract of the functions that report on the heap or give memory back: malloc_trim, the
 * statistics, malloc_info and malloc_stats.
 */
#include "support.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void test_trim_lowers_resident(void **state) {
    (void)state;
    enum { SMALL = 50000, MEDIUM = 800 };
    static void *small[SMALL];
    static void *medium[MEDIUM];
    for (size_t i = 0; i < SMALL; i++) {
        small[i] = MALLOC(1000);
        assert_non_null(small[i]);
        memset(small[i], 1, 1000);
    }
    for (size_t i = 0; i < MEDIUM; i++) {
        medium[i] = MALLOC(64 * KIB);
        assert_non_null(medium[i]);
        memset(medium[i], 1, 64 * KIB);
    }
    size_t full = resident_bytes();
    for (size_t i = 0; i < SMALL; i++) {
        FREE(small[i]);
    }
    for (size_t i = 0; i < MEDIUM; i++) {
        FREE(medium[i]);
    }
    int given_back;
    KEEPS_ERRNO(given_back = TRIM(0));
    assert_int_equal(given_back, 1);
    size_t trimmed = resident_bytes();
    if (trimmed + 95 * MIB > full) {
        fail_msg("resident %zu KiB when full, %zu KiB after the trim", full / KIB, trimmed / KIB);
    }
    assert_int_equal(TRIM(0), 0);
}

static void test_trim_keeps_live_blocks(void **state) {
    (void)state;
    static void *blocks[4000];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = MALLOC(i % 50 == 0 ? 100000 : i);
        assert_non_null(blocks[i]);
        fill(blocks[i], USABLE_SIZE(blocks[i]), (unsigned)i);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i += 2) {
        FREE(blocks[i]);
    }
    TRIM(0);
    for (size_t i = 1; i < COUNT_OF(blocks); i += 2) {
        assert_filled(blocks[i], USABLE_SIZE(blocks[i]), (unsigned)i);
        FREE(blocks[i]);
    }
}

static void test_allocated_follows_blocks(void **state) {
    (void)state;
    const struct {
        size_t count;
        size_t size;
    } loads[] = {{100000, 8},     {10000, 100}, {1000, 1000},
                 {200, 32 * KIB}, {50, MIB},    {2, 64 * MIB}};
    static void *blocks[100000];
    for (size_t i = 0; i < COUNT_OF(loads); i++) {
        size_t wanted = loads[i].count * loads[i].size;
        size_t before = allocated_bytes();
        for (size_t k = 0; k < loads[i].count; k++) {
            blocks[k] = MALLOC(loads[i].size);
            assert_non_null(blocks[k]);
        }
        size_t grown = allocated_bytes() - before;
        if (grown < wanted || grown > wanted + wanted / 4) {
            fail_msg("%zu blocks of %zu: allocated grew by %zu", loads[i].count, loads[i].size,
                     grown);
        }
        for (size_t k = 0; k < loads[i].count; k++) {
            FREE(blocks[k]);
        }
        assert_int_equal(allocated_bytes(), before);
    }
}

static void test_stats_add_up(void **state) {
    (void)state;
    struct goalloc_stats stats;
    void *p = MALLOC(MIB);
    assert_non_null(p);
    memset(p, 1, MIB);
    KEEPS_ERRNO(goalloc_get_stats(&stats));
    assert_true(stats.allocated >= MIB);
    assert_true(stats.active >= stats.allocated);
    assert_true(stats.resident >= stats.active);
    assert_true(stats.mapped >= stats.active);
    assert_true(stats.metadata > 0);
    assert_true(stats.threads >= 1);
    FREE(keep(p));
}

/* Runs the function with stderr in a file and returns what it wrote. */
static size_t capture_stderr(void (*function)(void), char *text, size_t capacity) {
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    function();
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    ssize_t length = pread(fileno(file), text, capacity - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    fclose(file);
    return (size_t)length;
}

static void test_stats_are_printed_to_stderr(void **state) {
    (void)state;
    static char text[64 * KIB];
    size_t before = allocated_bytes();
    size_t length = capture_stderr(PRINT_STATS, text, sizeof(text));
    assert_true(length > 20);
    assert_int_equal(text[length - 1], '\n');
    assert_int_equal(allocated_bytes(), before);
}

static size_t skip_name(const char *xml, size_t at) {
    while (isalnum((unsigned char)xml[at]) || xml[at] == '_' || xml[at] == '-') {
        at++;
    }
    return at;
}

/* Skips ` name="value"` as often as it occurs. */
static size_t skip_attributes(const char *xml, size_t at) {
    while (xml[at] == ' ') {
        size_t name = at + 1;
        at = skip_name(xml, name);
        if (at == name) {
            return at;
        }
        assert_true(xml[at] == '=' && xml[at + 1] == '"');
        at += 2;
        while (xml[at] != '"') {
            assert_true(xml[at] != '\0' && xml[at] != '<' && xml[at] != '&');
            at++;
        }
        at++;
    }
    return at;
}

struct open_tag {
    const char *name;
    size_t length;
};

/* Elements with quoted attributes, text without markup: all that malloc_info needs. */
static void assert_well_formed(const char *xml) {
    struct open_tag open[32];
    size_t depth = 0;
    size_t roots = 0;
    for (size_t at = 0; xml[at] != '\0';) {
        if (xml[at] != '<') {
            assert_true(xml[at] != '>' && xml[at] != '&');
            assert_true(depth > 0 || isspace((unsigned char)xml[at]));
            at++;
            continue;
        }
        bool closing = xml[at + 1] == '/';
        const char *name = xml + at + 1 + closing;
        size_t end = skip_name(xml, (size_t)(name - xml));
        size_t length = end - (size_t)(name - xml);
        assert_true(length > 0);
        at = closing ? end : skip_attributes(xml, end);
        bool empty = xml[at] == '/';
        at += empty;
        assert_int_equal(xml[at], '>');
        at++;
        if (closing) {
            assert_true(depth > 0);
            depth--;
            assert_int_equal(length, open[depth].length);
            assert_memory_equal(name, open[depth].name, length);
            continue;
        }
        roots += depth == 0;
        if (!empty) {
            assert_true(depth < COUNT_OF(open));
            open[depth++] = (struct open_tag){name, length};
        }
    }
    assert_int_equal(depth, 0);
    assert_int_equal(roots, 1);
}

static void test_info_is_xml(void **state) {
    (void)state;
    static char xml[MIB];
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(INFO(0, file), 0);
    assert_int_equal(fflush(file), 0);
    ssize_t length = pread(fileno(file), xml, sizeof(xml) - 1, 0);
    fclose(file);
    assert_true(length > 0 && (size_t)length < sizeof(xml) - 1);
    xml[length] = '\0';
    const char begin[] = "<malloc version=";
    assert_memory_equal(xml, begin, sizeof(begin) - 1);
    assert_well_formed(xml);
}

/* The stream may itself allocate while it is written to. */
static void test_info_to_a_stream_that_allocates(void **state) {
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(INFO(0, stream), 0);
    }
    assert_int_equal(fclose(stream), 0);
    assert_true(length > 0);
    free(text);
}

static void test_info_rejects_options(void **state) {
    (void)state;
    const int options[] = {1, 2, -1, 1 << 30};
    FILE *file = tmpfile();
    assert_non_null(file);
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        assert_int_equal(INFO(options[i], file), EINVAL);
    }
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_END), 0);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim_lowers_resident),
        cmocka_unit_test(test_trim_keeps_live_blocks),
        cmocka_unit_test(test_allocated_follows_blocks),
        cmocka_unit_test(test_stats_add_up),
        cmocka_unit_test(test_stats_are_printed_to_stderr),
        cmocka_unit_test(test_info_is_xml),
        cmocka_unit_test(test_info_to_a_stream_that_allocates),
        cmocka_unit_test(test_info_rejects_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
