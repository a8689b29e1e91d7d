/*
 * Buffers that grow by realloc: byte by byte (several to 256 KiB, by turns), by a KiB at a time or
 * by doubling (one to 256 MiB, beside smaller blocks that come and go), or many by half of their
 * size each time (to 2 MiB, at random). Stands for readers of unknown input, string builders and
 * arrays. Punishes a copy for each step, growth that cannot happen in place because a neighbour was
 * put right behind, and pages that go back to be faulted in again. All contents are verified.
 */
#include "bench.h"

enum { BUFFERS = 8, BYTE_ROUNDS = 64, KIB_ROUNDS = 2, DOUBLE_ROUNDS = 4, NEIGHBOUR_EVERY = 64 };
enum { MANY = 200, MANY_ROUNDS = 8, GROWTHS = 40 * MANY };

static const size_t byte_most = 256 * KIB, most = 256 * MIB, many_most = 2 * MIB;

static unsigned char pattern(size_t i, size_t which) {
    return (unsigned char)(i * 31 + (i >> 8) + which);
}

static void fill(unsigned char *bytes, size_t from, size_t to, size_t which) {
    for (size_t i = from; i < to; i++) {
        bytes[i] = pattern(i, which);
    }
}

static void verify(const unsigned char *bytes, size_t size, size_t step, size_t which) {
    for (size_t i = 0; i < size; i += step) {
        CHECK(bytes[i] == pattern(i, which));
    }
}

static void grow_by_bytes(void) {
    unsigned char *buffer[BUFFERS] = {NULL};
    for (size_t size = 1; size <= byte_most; size++) {
        size_t which = size % BUFFERS;
        buffer[which] = need(realloc(buffer[which], size));
        fill(buffer[which], size < BUFFERS ? 0 : size - BUFFERS, size, which);
    }
    for (size_t which = 0; which < BUFFERS; which++) {
        verify(buffer[which], byte_most - BUFFERS, 1, which);
        free(buffer[which]);
    }
}

/* Every so often a block of 32 KiB is allocated beside the buffer and its predecessor freed. */
static void grow_by_kib(size_t most_now) {
    unsigned char *bytes = NULL;
    void *neighbour = NULL;
    for (size_t size = KIB; size <= most_now; size += KIB) {
        bytes = need(realloc(bytes, size));
        fill(bytes, size - KIB, size, 0);
        if (size / KIB % NEIGHBOUR_EVERY == 0) {
            free(neighbour);
            neighbour = need(malloc(32 * KIB));
        }
    }
    verify(bytes, most_now, 1, 0);
    free(neighbour);
    free(bytes);
}

static void grow_by_doubling(void) {
    unsigned char *bytes = need(malloc(16));
    fill(bytes, 0, 16, 0);
    for (size_t size = 32; size <= most; size *= 2) {
        bytes = need(realloc(bytes, size));
        verify(bytes, size / 2, 64, 0);
        fill(bytes, size / 2, size, 0);
    }
    verify(bytes, most, 64, 0);
    free(bytes);
}

/* Each is freed when it has become large. */
static void grow_many(struct rng *rng) {
    unsigned char *bytes[MANY] = {NULL};
    size_t sizes[MANY] = {0};
    for (int i = 0; i < GROWTHS; i++) {
        size_t which = rng_below(rng, MANY), old = sizes[which], size = old + old / 2 + 16;
        if (size > many_most) {
            verify(bytes[which], old, 64, which);
            free(bytes[which]);
            bytes[which] = NULL;
            sizes[which] = 0;
            continue;
        }
        bytes[which] = need(realloc(bytes[which], size));
        fill(bytes[which], old, size, which);
        sizes[which] = size;
    }
    for (size_t which = 0; which < MANY; which++) {
        verify(bytes[which], sizes[which], 64, which);
        free(bytes[which]);
    }
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1, .mode = "byte"});
    struct rng rng = rng_make(bench.seed, 0);
    bool byte = mode_is(&bench, "byte"), kib = mode_is(&bench, "kib");
    bool many = mode_is(&bench, "many");
    require(byte || kib || many || mode_is(&bench, "double"), "use this --mode");
    size_t rounds = scaled(&bench, byte   ? BYTE_ROUNDS
                                   : kib  ? KIB_ROUNDS
                                   : many ? MANY_ROUNDS
                                          : DOUBLE_ROUNDS);
    for (; rounds > 0; rounds--) {
        if (byte) {
            grow_by_bytes();
        } else if (kib) {
            grow_by_kib(most);
        } else if (many) {
            grow_many(&rng);
        } else {
            grow_by_doubling();
        }
    }
    return 0;
}
