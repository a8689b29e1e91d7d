/*
 * A set of blocks is allocated and freed, again and again: requests, frames, batches. An allocator
 * that gives free memory back at once pays a page fault for each page in each cycle; one that never
 * uses it again grows. After the first cycles there must be next to no page faults, and not much
 * more memory than the blocks themselves:
 *
 *     cycles small     objects of 16 to 256 bytes
 *     cycles medium    blocks of 4 KiB to 1 MiB
 */
#include <stdio.h>
#include <string.h>

#include "pathology.h"

#define MOST 100000
#define WARM_UP 3
#define PAGE (4 * KIB)

struct scenario {
    const char *name;
    size_t smallest;
    size_t largest;
    size_t bytes; /* of all blocks, about */
    size_t cycles;
};

static const struct scenario scenarios[] = {
    {"small", 16, 256, 8 * MIB, 200},
    {"medium", 4 * KIB, MIB, 64 * MIB, 400},
};

struct block {
    char *memory;
    size_t size;
};

static struct block blocks[MOST];
static void *order[MOST]; /* in which the blocks are freed: pointers to them */
static size_t count;
static size_t bytes;

static void choose_sizes(const struct scenario *scenario, uint64_t *seed) {
    for (count = bytes = 0; count < MOST && bytes < scenario->bytes; count++) {
        blocks[count].size = random_size(seed, scenario->smallest, scenario->largest);
        bytes += blocks[count].size;
        order[count] = &blocks[count];
    }
}

static void run_cycle(uint64_t *seed) {
    for (size_t i = 0; i < count; i++) {
        blocks[i].memory = touched(blocks[i].size);
    }
    shuffle(order, count, seed);
    for (size_t i = 0; i < count; i++) {
        struct block *block = order[i];
        free_touched(block->memory, block->size);
    }
}

static const struct scenario *find(const char *name) {
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    life_fail(__FILE__, __LINE__, "there is no scenario %s", name);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: cycles small|medium");
    life_require_goalloc();
    avoid_huge_pages();
    const struct scenario *scenario = find(argv[1]);
    uint64_t seed = 1;
    choose_sizes(scenario, &seed);
    size_t before = rollup("Rss");
    for (size_t i = 0; i < WARM_UP; i++) {
        run_cycle(&seed);
    }
    size_t faults = page_faults();
    for (size_t i = 0; i < scenario->cycles; i++) {
        run_cycle(&seed);
    }
    faults = page_faults() - faults;
    size_t grown = peak_resident() - before;
    size_t pages = bytes / PAGE * scenario->cycles;
    printf("%zu blocks, %zu KiB: %zu faults for %zu pages, peak %zu KiB\n", count, bytes / KIB,
           faults, pages, grown / KIB);
    fflush(stdout);
    CHECK(faults <= pages / 100, "%.1f faults in each cycle",
          (double)faults / (double)scenario->cycles);
    CHECK(grown <= bytes + bytes / 2 + 2 * MIB, "%zu KiB for blocks of %zu KiB", grown / KIB,
          bytes / KIB);
    return 0;
}
