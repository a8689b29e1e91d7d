/*
 * A limit of the address space that the program sets itself, below what is mapped already:
 *
 *     limited_later grow    large blocks grow, and keep their contents, although the system moves
 *                           no pages any more
 *     limited_later trim    what one thread gives back to the system another one can have
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "life.h"

#define BLOCK (4 * MIB)
#define GROWN (16 * MIB)
#define TRIM_LIMIT (600 * MIB)
#define TRIM_BLOCK (400 * MIB)
#define TRIM_BLOCKS 20

static void limit(size_t bytes) {
    struct rlimit limits = {bytes, bytes};
    CHECK(setrlimit(RLIMIT_AS, &limits) == 0, "setrlimit");
}

static void grow(void) {
    char *block = malloc(BLOCK), *wall = malloc(MIB);
    CHECK(block != NULL && wall != NULL, "no memory");
    memset(block, 1, BLOCK);
    memset(wall, 2, MIB);
    limit(64 * MIB);
    block = realloc(block, GROWN);
    CHECK(block != NULL, "no memory, although it is mapped");
    for (size_t i = 0; i < BLOCK; i++) {
        CHECK(block[i] == 1, "byte %zu is lost", i);
    }
    memset(block, 3, GROWN);
    free(block);
    free(wall);
}

static atomic_bool ended;

static void *trim(void *arg) {
    while (!atomic_load(&ended)) {
        malloc_trim(0);
    }
    return arg;
}

static void run_beside_trim(void) {
    pthread_t thread;
    limit(TRIM_LIMIT);
    CHECK(pthread_create(&thread, NULL, trim, NULL) == 0, "no thread");
    for (int i = 0; i < TRIM_BLOCKS; i++) {
        char *block = malloc(TRIM_BLOCK);
        CHECK(block != NULL, "block %d: no memory, although nothing else is in use", i);
        memset(block, 1, TRIM_BLOCK / 4);
        free(life_keep(block));
    }
    atomic_store(&ended, true);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: limited_later grow|trim");
    life_require_goalloc();
    if (strcmp(argv[1], "grow") == 0) {
        grow();
    } else {
        run_beside_trim();
    }
    return 0;
}
