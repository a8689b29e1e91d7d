/*
 * Threads that load and unload a library over and over, whose constructor and destructor allocate,
 * while others allocate, too: the dynamic linker calls malloc with its locks held.
 *
 *     dlopen_loop LIBRARY
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "life.h"

enum { LOADERS = 2, ALLOCATORS = 2, ROUNDS = 400 };

static const char *library_path;
static atomic_bool finished;

static void *load(void *arg) {
    for (size_t i = 0; i < ROUNDS; i++) {
        void *library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL, "dlopen: %s", dlerror());
        void *(*block_of)(size_t) = (void *(*)(size_t))dlsym(library, "dlopen_library_block");
        CHECK(block_of != NULL, "dlsym: %s", dlerror());
        void *block = block_of(i * 50);
        CHECK(dlsym(library, "no_such_name") == NULL, "a symbol that is not there");
        CHECK(dlclose(library) == 0, "dlclose: %s", dlerror());
        life_check_block(block, i * 50);
        free(block);
    }
    return arg;
}

static void *allocate(void *arg) {
    for (size_t i = 0; !atomic_load(&finished); i++) {
        free(life_block(i * 97 % (i % 10 == 0 ? 70000 : 2000)));
    }
    return arg;
}

int main(int argc, char **argv) {
    pthread_t loaders[LOADERS], allocators[ALLOCATORS];
    CHECK(argc == 2, "usage: dlopen_loop LIBRARY");
    life_require_goalloc();
    library_path = argv[1];
    for (size_t i = 0; i < ALLOCATORS; i++) {
        CHECK(pthread_create(&allocators[i], NULL, allocate, NULL) == 0, "no thread");
    }
    for (size_t i = 0; i < LOADERS; i++) {
        CHECK(pthread_create(&loaders[i], NULL, load, NULL) == 0, "no thread");
    }
    for (size_t i = 0; i < LOADERS; i++) {
        pthread_join(loaders[i], NULL);
    }
    atomic_store(&finished, true);
    for (size_t i = 0; i < ALLOCATORS; i++) {
        pthread_join(allocators[i], NULL);
    }
    life_exercise_heap();
    return 0;
}
