/*
 * Zeroed blocks that are written to the full and replaced at random: tables, matrices, frames.
 * --mode medium: of 4 KiB to 1 MiB; large: of 2 to 24 MiB, as layers of images. Punishes giving
 * memory back and faulting it in again for each, and clearing twice what the system has cleared
 * already.
 */
#include "bench.h"

enum { SLOTS_MOST = 100 };

struct mix {
    size_t least;
    size_t most;
    size_t slots;
    size_t steps;
};

struct block {
    unsigned char *bytes;
    size_t size;
};

static struct block make(struct rng *rng, const struct mix *mix) {
    size_t size = rng_log_between(rng, mix->least, mix->most);
    struct block block = {need(calloc(1, size)), size};
    for (size_t i = 0; i < size; i += 256) {
        CHECK(block.bytes[i] == 0);
    }
    CHECK(block.bytes[size - 1] == 0);
    memset(block.bytes, 0xff, size);
    return block;
}

static void drop(struct block block) {
    CHECK(block.bytes == NULL || (block.bytes[0] == 0xff && block.bytes[block.size - 1] == 0xff));
    free(block.bytes);
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1, .mode = "medium"});
    struct rng rng = rng_make(bench.seed, 0);
    struct block block[SLOTS_MOST] = {{0}};
    bool large = mode_is(&bench, "large");
    require(large || mode_is(&bench, "medium"), "use this --mode");
    struct mix mix = large ? (struct mix){2 * MIB, 24 * MIB, 4, 300}
                           : (struct mix){4 * KIB, MIB, SLOTS_MOST, 20000};
    for (size_t i = scaled(&bench, mix.steps); i > 0; i--) {
        size_t slot = rng_below(&rng, mix.slots);
        drop(block[slot]);
        block[slot] = make(&rng, &mix);
    }
    for (size_t i = 0; i < mix.slots; i++) {
        drop(block[i]);
    }
    return 0;
}
