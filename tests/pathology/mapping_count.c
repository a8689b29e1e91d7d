/*
 * The kernel allows a process some 65,000 mappings. An allocator that unmaps or protects parts of
 * its memory splits them, until the next split is refused and memory ends while there is plenty:
 *
 *     mapping_count replace    blocks of 4 KiB to 1 MiB are replaced at random, and free memory
 *                              goes back from time to time: hardly any more mappings than at first
 *     mapping_count move       18,000 large blocks are moved by realloc, which may move mappings:
 *                              at most half of those that are allowed
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pathology.h"

#define LIVE 2000
#define REPLACED 100000
#define TRIM_EVERY 5000
#define MORE_ALLOWED 64

#define MOVED 18000
#define SMALLER MIB
#define LARGER (SMALLER + SMALLER / 4)

static size_t check_most(size_t most, size_t allowed) {
    size_t count = mappings();
    CHECK(count <= allowed, "%zu mappings", count);
    return count > most ? count : most;
}

static size_t replace_blocks(void) {
    static void *blocks[LIVE];
    static size_t sizes[LIVE];
    uint64_t seed = 1;
    size_t allowed = mappings() + MORE_ALLOWED, most = 0;
    for (size_t n = 1; n <= REPLACED; n++) {
        size_t i = random_below(&seed, LIVE);
        if (blocks[i] != NULL) {
            free_touched(blocks[i], sizes[i]);
        }
        sizes[i] = random_size(&seed, 4 * KIB, MIB);
        blocks[i] = touched(sizes[i]);
        if (n % TRIM_EVERY == 0) {
            malloc_trim(0);
            most = check_most(most, allowed);
        }
    }
    return most;
}

static size_t mappings_allowed(void) {
    char text[32] = {0};
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "cannot read max_map_count");
    close(fd);
    return (size_t)strtoull(text, NULL, 10);
}

/* The neighbour behind a block keeps it from growing in place. Only the first page is used; what a
 * copy has made resident of the others is dropped, or it would be gigabytes. */
static void move_one(size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *block = malloc(SMALLER);
    CHECK(block != NULL, "malloc failed after %zu moves", n);
    CHECK(life_keep(malloc(40 * KIB)) != NULL, "malloc failed after %zu moves", n);
    block[0] = (char)n;
    block = realloc(block, LARGER);
    CHECK(block != NULL && block[0] == (char)n, "realloc failed after %zu moves", n);
    uintptr_t second = ((uintptr_t)block + page) / page * page;
    madvise((void *)second, SMALLER - page, MADV_DONTNEED);
}

static size_t move_blocks(void) {
    size_t allowed = mappings_allowed() / 2, most = 0;
    for (size_t n = 1; n <= MOVED; n++) {
        move_one(n);
        if (n % 1000 == 0) {
            most = check_most(most, allowed);
        }
    }
    return most;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: mapping_count replace|move");
    life_require_goalloc();
    size_t before = mappings();
    size_t most = strcmp(argv[1], "move") == 0 ? move_blocks() : replace_blocks();
    printf("%zu mappings, %zu at the start\n", most, before);
    return 0;
}
