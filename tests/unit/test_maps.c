/* What is said of addresses whose place is known: code, the stack, a mapping, nothing. */
#include "support.h"

#include <string.h>
#include <sys/mman.h>

#include "base.h"
#include "maps.h"

static void own_code(void **state) {
    struct map_line line, data;
    static int variable = 1;
    (void)state;
    assert_int_equal(maps_find((uintptr_t)&own_code, &line), MAPS_FOUND);
    assert_non_null(strstr(line.name, "unit_maps"));
    assert_true(line.readable && line.module <= line.start && line.start < line.end);
    assert_int_equal(maps_find((uintptr_t)&variable, &data), MAPS_FOUND);
    assert_string_equal(data.name, line.name);
    assert_true(data.module == line.module && data.start != line.start);
}

static void stack(void **state) {
    struct map_line line;
    (void)state;
    assert_int_equal(maps_find((uintptr_t)&line, &line), MAPS_FOUND);
    assert_true(line.start <= (uintptr_t)&line && (uintptr_t)&line < line.end && line.readable);
}

static void inaccessible_and_unmapped(void **state) {
    struct map_line line;
    char *base = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(base != MAP_FAILED);
    assert_int_equal(maps_find((uintptr_t)base + MIB / 2, &line), MAPS_FOUND);
    assert_false(line.readable);
    munmap(base, MIB);
    assert_int_equal(maps_find(8, &line), MAPS_NONE);
    assert_int_equal(maps_find(UINTPTR_MAX / 2, &line), MAPS_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_code),
        cmocka_unit_test(stack),
        cmocka_unit_test(inaccessible_and_unmapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
