/*
 * Huge pages make large heaps fast and small ones fat: one byte in use keeps 2 MiB resident.
 *
 *     huge_pages small_heap    a heap of 20 MiB has none, even where the system wants them
 *                              everywhere
 *     huge_pages holes         of a heap on huge pages, all but each 33rd block of 40 KiB is freed
 *                              and given back: parts of huge pages must really go
 *     huge_pages collapse      all but each 33rd block is given back, and then the kernel is asked
 *                              to do at once what its daemon does over minutes where huge pages are
 *                              wanted everywhere: to make huge pages of what is there. That must
 *                              not fill the holes again
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pathology.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE (2 * MIB)
#define HEAP (256 * MIB)
#define BLOCK (40 * KIB)
#define BLOCKS (HEAP / BLOCK)
#define KEPT_EACH 33
#define ALLOWED_BESIDE (8 * MIB)
#define SMALL_HEAP (20 * MIB)

static char *blocks[BLOCKS];

/* ---- a small heap ---- */

/* Whether the mapping that an address lies in has a flag of two letters in smaps. */
static bool mapping_has_flag(const void *address, const char *flag) {
    char line[512];
    bool inside = false, found = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    CHECK(file != NULL, "cannot open smaps");
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        }
        found = inside && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, flag) != NULL;
    }
    fclose(file);
    return found;
}

/* Where the system wants no huge pages anywhere, the kernel's notes still tell. */
static void check_small_heap(void) {
    uint64_t seed = 1;
    size_t count = 0;
    for (size_t bytes = 0; bytes < SMALL_HEAP; count++) {
        size_t size = random_size(&seed, 16, 200 * KIB);
        blocks[count] = touched(size);
        bytes += size;
    }
    size_t huge = rollup("AnonHugePages");
    CHECK(huge == 0, "%zu KiB of huge pages", huge / KIB);
    printf("%zu blocks, %zu KiB of huge pages\n", count, huge / KIB);
    fflush(stdout);
    for (size_t i = 0; i < count; i++) {
        CHECK(mapping_has_flag(blocks[i], " nh"), "block %zu may come to lie on a huge page", i);
        free(blocks[i]);
    }
}

/* ---- holes ---- */

/* Huge pages are wanted where the heap will put its next 256 MiB. */
static void want_huge_pages(void) {
    char *block = aligned_alloc(HUGE, HEAP);
    CHECK(block != NULL, "aligned_alloc failed");
    CHECK(madvise(block, HEAP, MADV_HUGEPAGE) == 0, "madvise: %s", strerror(errno));
    free(life_keep(block));
}

static void fill_heap(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = touched(BLOCK);
    }
}

/* Returns the bytes that are kept. */
static size_t make_holes(void) {
    size_t kept = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % KEPT_EACH == 0) {
            kept += BLOCK;
        } else {
            free_touched(blocks[i], BLOCK);
        }
    }
    malloc_trim(0);
    return kept;
}

static void check_resident(size_t before, size_t kept) {
    size_t grown = rollup("Rss") - before;
    printf("%zu KiB are resident, %zu KiB in use, %zu KiB huge pages\n", grown / KIB, kept / KIB,
           rollup("AnonHugePages") / KIB);
    fflush(stdout);
    CHECK(grown <= kept + ALLOWED_BESIDE, "%zu KiB are resident", grown / KIB);
}

static void punch_huge_pages(void) {
    size_t before = rollup("Rss");
    want_huge_pages();
    fill_heap();
    if (rollup("AnonHugePages") < HEAP / 2) {
        skip("the system gives no huge pages here");
    }
    check_resident(before, make_holes());
}

/* ---- holes that the kernel would fill ---- */

static char *first_huge_page(const void *address) {
    return (char *)(((uintptr_t)address + HUGE - 1) / HUGE * HUGE);
}

static bool kernel_can_collapse(void) {
    char *memory = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    char *start = first_huge_page(memory);
    *start = 1;
    bool can = madvise(start, HUGE, MADV_COLLAPSE) == 0;
    munmap(memory, 2 * HUGE);
    return can;
}

/* Where the allocator does not allow it, the kernel refuses. */
static void collapse(const char *from, const char *to) {
    for (char *at = first_huge_page(from); at + HUGE <= to; at += HUGE) {
        madvise(at, HUGE, MADV_COLLAPSE);
    }
}

static void collapse_holes(void) {
    if (!kernel_can_collapse()) {
        skip("this kernel does not make huge pages when asked to");
    }
    size_t before = rollup("Rss");
    fill_heap();
    const char *low = blocks[0], *high = blocks[0];
    for (size_t i = 0; i < BLOCKS; i++) {
        low = blocks[i] < low ? blocks[i] : low;
        high = blocks[i] > high ? blocks[i] : high;
    }
    size_t kept = make_holes();
    collapse(low, high);
    check_resident(before, kept);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: huge_pages small_heap|holes|collapse");
    life_require_goalloc();
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0) {
        skip("this kernel has no huge pages");
    }
    if (strcmp(argv[1], "small_heap") == 0) {
        check_small_heap();
    } else if (strcmp(argv[1], "holes") == 0) {
        punch_huge_pages();
    } else {
        collapse_holes();
    }
    return 0;
}
