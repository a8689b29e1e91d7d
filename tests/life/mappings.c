/*
 * A process that has as many mappings as the kernel allows (vm.max_map_count). The heap finds no new
 * address space then and cannot move pages; what it has it goes on using, and a block that cannot be
 * had is NULL and ENOMEM.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "life.h"

enum { BLOCKS = 3000, FILLERS = 200000 };

static void *fillers[FILLERS];

/* Neighbours of different rights are not merged. */
static size_t fill_up(size_t page) {
    size_t count = 0;
    for (; count < FILLERS; count++) {
        int rights = count % 2 == 0 ? PROT_READ : PROT_NONE;
        fillers[count] = mmap(NULL, page, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fillers[count] == MAP_FAILED) {
            break;
        }
    }
    return count;
}

static void use_heap(void) {
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i * 131 % 3000 + (i % 10 == 0 ? i * KIB : 0);
        errno = 0;
        blocks[i] = malloc(size);
        CHECK(blocks[i] != NULL || errno == ENOMEM, "errno is %d, want ENOMEM", errno);
        if (blocks[i] != NULL) {
            memset(blocks[i], (int)i, size);
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i * 131 % 3000 + (i % 10 == 0 ? i * KIB : 0);
        unsigned char *larger = realloc(blocks[i], size + 1 + size / 2), *block = blocks[i];
        block = larger != NULL ? larger : block;
        CHECK(size == 0 || block == NULL || (block[0] == (i & 0xff) && block[size - 1] == block[0]),
              "block %zu changed", i);
        blocks[i] = block;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
        if (i % 500 == 0) {
            malloc_trim(0);
        }
    }
}

int main(void) {
    life_require_goalloc();
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = fill_up(page);
    if (count == FILLERS) {
        puts("skipped: no limit of the number of mappings here");
        return LIFE_SKIPPED;
    }
    use_heap();
    while (count > 0) {
        munmap(fillers[--count], page);
    }
    use_heap();
    life_exercise_heap();
    return 0;
}
