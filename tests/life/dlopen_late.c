/*
 * A program that uses the C library's malloc and loads goalloc late:
 *
 *     dlopen_late LIBRARY local|global
 *
 * goalloc's functions work through dlsym, its free hands foreign pointers back to the C library,
 * and dlclose does not pull the code from under threads that used it.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

#define CLOSE_ROUNDS 100

struct functions {
    void *(*own_malloc)(size_t size);
    void (*own_free)(void *ptr);
    void *(*malloc)(size_t size);
    void *(*realloc)(void *ptr, size_t size);
    void (*free)(void *ptr);
    size_t (*usable_size)(void *ptr);
};

static struct functions goalloc;

static void *symbol(void *library, const char *name) {
    void *address = dlsym(library, name);
    CHECK(address != NULL, "dlsym: %s", dlerror());
    Dl_info info;
    CHECK(dladdr(address, &info) != 0 && strstr(info.dli_fname, "goalloc") != NULL,
          "%s is not goalloc's", name);
    return address;
}

static void look_up(void *library) {
    goalloc.own_malloc = (void *(*)(size_t))symbol(library, "goalloc_malloc");
    goalloc.own_free = (void (*)(void *))symbol(library, "goalloc_free");
    goalloc.malloc = (void *(*)(size_t))symbol(library, "malloc");
    goalloc.realloc = (void *(*)(void *, size_t))symbol(library, "realloc");
    goalloc.free = (void (*)(void *))symbol(library, "free");
    goalloc.usable_size = (size_t(*)(void *))symbol(library, "malloc_usable_size");
}

static void use_goalloc(void) {
    void *held[200];
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        size_t size = i * i * 3;
        held[i] = i % 2 == 0 ? goalloc.own_malloc(size) : goalloc.malloc(size);
        CHECK(held[i] != NULL, "no memory from the late library");
        memset(held[i], (int)i, size);
        CHECK(goalloc.usable_size(held[i]) >= size, "usable size too small");
    }
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        held[i] = goalloc.realloc(held[i], i * i * 3 + 100);
        CHECK(held[i] != NULL, "realloc failed");
        CHECK(i == 0 || *(unsigned char *)held[i] == (unsigned char)i, "realloc lost contents");
        if (i % 3 == 0) {
            goalloc.own_free(held[i]);
        } else {
            goalloc.free(held[i]);
        }
    }
}

static void *use_in_thread(void *arg) {
    use_goalloc();
    return arg;
}

static void use_in_a_thread(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_in_thread, NULL) == 0, "no thread");
    CHECK(pthread_join(thread, NULL) == 0, "cannot join");
}

static size_t bytes_in_libc(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Blocks of the C library, small and mapped: freed by goalloc they must leave its books. */
static void give_foreign_blocks(void) {
    static void *blocks[1000];
    size_t before = bytes_in_libc();
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = malloc(2000 + i);
        CHECK(blocks[i] != NULL, "the C library has no memory");
    }
    void *large = malloc(10 * MIB);
    CHECK(large != NULL, "the C library has no memory");
    CHECK(bytes_in_libc() >= before + 12 * MIB, "malloc is not the C library's");
    CHECK(goalloc.usable_size(large) >= 10 * MIB, "usable size of a foreign block");
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        goalloc.free(blocks[i]);
    }
    goalloc.free(large);
    CHECK(bytes_in_libc() <= before + 64 * KIB,
          "foreign blocks did not go back: %zu bytes, were %zu", bytes_in_libc(), before);
}

static void resize_foreign_block(void) {
    char *block = malloc(500);
    CHECK(block != NULL, "the C library has no memory");
    memset(block, 'q', 500);
    block = goalloc.realloc(life_keep(block), 100000);
    CHECK(block != NULL, "realloc of a foreign block failed");
    for (size_t i = 0; i < 500; i++) {
        CHECK(block[i] == 'q', "realloc of a foreign block lost byte %zu", i);
    }
    goalloc.free(block);
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: dlopen_late LIBRARY local|global");
    CHECK(dlsym(RTLD_DEFAULT, "goalloc_version") == NULL, "goalloc is here already");
    life_exercise_heap();
    void *old = life_block(1234);
    int scope = strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
    void *library = dlopen(argv[1], RTLD_NOW | scope);
    CHECK(library != NULL, "dlopen: %s", dlerror());
    look_up(library);
    use_goalloc();
    use_in_a_thread();
    give_foreign_blocks();
    resize_foreign_block();
    void *held = goalloc.own_malloc(777);
    CHECK(held != NULL, "no memory");
    memset(held, 0x2b, 777);
    for (int i = 0; i < CLOSE_ROUNDS; i++) {
        CHECK(dlclose(library) == 0, "dlclose: %s", dlerror());
        use_in_a_thread();
        library = dlopen(argv[1], RTLD_NOW | scope);
        CHECK(library != NULL, "dlopen again: %s", dlerror());
        look_up(library);
        use_goalloc();
    }
    CHECK(((unsigned char *)held)[776] == 0x2b, "a block changed over dlclose");
    goalloc.free(held);
    goalloc.free(old);
    life_exercise_heap();
    return 0;
}
