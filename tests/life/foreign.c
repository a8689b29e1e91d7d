/*
 * Pointers of the C library's own malloc given to goalloc's functions, as happens when a block is
 * older than the preload or a library is bound to the C library's names. They are handed on:
 * free returns them to the C library, realloc copies, malloc_usable_size answers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

static void *(*libc_malloc)(size_t size);
static void *(*libc_memalign)(size_t alignment, size_t size);
static struct mallinfo2 (*libc_mallinfo2)(void);

static const size_t sizes[] = {1, 24, 100, 1000, 5000, 50000, 200000, 5 * MIB};

static size_t bytes_in_libc(void) {
    struct mallinfo2 info = libc_mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void look_up(void) {
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    CHECK(libc != NULL, "no libc.so.6: %s", dlerror());
    libc_malloc = (void *(*)(size_t))dlsym(libc, "malloc");
    libc_memalign = (void *(*)(size_t, size_t))dlsym(libc, "memalign");
    libc_mallinfo2 = (struct mallinfo2(*)(void))dlsym(libc, "mallinfo2");
    CHECK(libc_malloc != NULL && libc_memalign != NULL && libc_mallinfo2 != NULL, "dlsym failed");
    CHECK(libc_malloc != malloc, "the C library's malloc is goalloc's");
}

static void *foreign_block(size_t i) {
    void *block = i % 3 == 2 ? libc_memalign(256, sizes[i]) : libc_malloc(sizes[i]);
    CHECK(block != NULL, "the C library has no memory");
    memset(block, 'f', sizes[i]);
    return life_keep(block);
}

static void check_free(size_t i) {
    size_t before = bytes_in_libc();
    for (int round = 0; round < 20; round++) {
        void *block = foreign_block(i);
        errno = 12321;
        free(block);
        CHECK(errno == 12321, "free of a foreign block changed errno");
    }
    CHECK(bytes_in_libc() <= before + 16 * KIB, "foreign blocks of %zu stay in the C library",
          sizes[i]);
}

static void check_usable_size(size_t i) {
    void *block = foreign_block(i);
    size_t usable = malloc_usable_size(block);
    CHECK(usable >= sizes[i], "usable size of a foreign block of %zu is %zu", sizes[i], usable);
    free(block);
}

static void check_realloc(size_t i) {
    for (int direction = 0; direction < 2; direction++) {
        size_t size = direction == 0 ? sizes[i] * 3 : sizes[i] / 3 + 1;
        unsigned char *block = realloc(foreign_block(i), size);
        CHECK(block != NULL, "realloc of a foreign block failed");
        for (size_t k = 0; k < size && k < sizes[i]; k++) {
            CHECK(block[k] == 'f', "realloc of a foreign block of %zu lost byte %zu", sizes[i], k);
        }
        memset(block, 'g', size);
        free(block);
    }
}

static void check_realloc_to_zero(size_t i) {
    size_t before = bytes_in_libc();
    CHECK(realloc(foreign_block(i), (size_t)(uintptr_t)life_keep(NULL)) == NULL,
          "realloc to 0 returned a block");
    CHECK(bytes_in_libc() <= before + 16 * KIB, "realloc to 0 kept a foreign block");
}

int main(void) {
    life_require_goalloc();
    look_up();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        check_free(i);
        check_usable_size(i);
        check_realloc(i);
        check_realloc_to_zero(i);
    }
    life_exercise_heap();
    return 0;
}
