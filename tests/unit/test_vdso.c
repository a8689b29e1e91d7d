/* Names are found where the dynamic linker finds them, whichever hash table an image has. */
#include "support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "vdso.h"

static const char *const images[] = {IMAGES};

static const char *map_file(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    CHECK(file >= 0 && fstat(file, &status) == 0);
    void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(map != MAP_FAILED);
    close(file);
    return map;
}

/* How far from the start of the image the dynamic linker has the name. */
static ptrdiff_t expected_offset(const char *path, const char *name) {
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    void *found = library != NULL ? dlsym(library, name) : NULL;
    Dl_info info;
    CHECK(found != NULL && dladdr(found, &info) != 0);
    return (char *)found - (char *)info.dli_fbase;
}

static void finds_what_the_dynamic_linker_finds(void **state) {
    (void)state;
    static const char *const names[] = {"image_first", "image_second", "image_third"};
    for (unsigned i = 0; i < COUNT_OF(images); i++) {
        const char *image = map_file(images[i]);
        for (unsigned n = 0; n < COUNT_OF(names); n++) {
            char *found = vdso_find(image, names[n]);
            assert_non_null(found);
            assert_int_equal(found - image, expected_offset(images[i], names[n]));
        }
    }
}

static void does_not_find_what_is_not_there(void **state) {
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(images); i++) {
        const char *image = map_file(images[i]);
        assert_null(vdso_find(image, "image_undefined"));
        assert_null(vdso_find(image, "image_firs"));
        assert_null(vdso_find(image, "image_first_"));
        assert_null(vdso_find(image, ""));
    }
    assert_null(vdso_find(NULL, "image_first"));
}

static void the_clock_of_this_process(void **state) {
    (void)state;
    const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
    if (image == NULL) {
        skip();
    }
    int (*clock)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))vdso_find(image, ARCH_VDSO_CLOCK);
    assert_non_null(clock);
    struct timespec before, found, after;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    assert_int_equal(clock(CLOCK_MONOTONIC, &found), 0);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
    assert_true(before.tv_sec <= found.tv_sec && found.tv_sec <= after.tv_sec);
    assert_null(vdso_find(image, "clock_of_nobody"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_the_dynamic_linker_finds),
        cmocka_unit_test(does_not_find_what_is_not_there),
        cmocka_unit_test(the_clock_of_this_process),
    };
    return cmocka_run_group_tests_name("vdso", tests, NULL, NULL);
}
