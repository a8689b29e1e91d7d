/*
 * The memory of the allocator's own descriptors: the bump allocator and the free lists above it
 * hand out nothing twice, aligned as wanted, zero where it is new.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base.h"
#include "fixalloc.h"
#include "persistent.h"

enum { POOLS = 4, OUT = 512 };

/* Metadata never goes back, so the bump allocator is left alone after this much of it. */
#define ENOUGH (64 * MIB)

static struct fixalloc pools[POOLS] = {FIXALLOC_INIT(16, 8), FIXALLOC_INIT(64, 64),
                                       FIXALLOC_INIT(1088, 64), FIXALLOC_INIT(512, 512)};

static struct {
    unsigned char *address;
    unsigned pool;
    uint8_t tag;
} out[OUT];
static size_t count;

static bool is_all(const unsigned char *bytes, size_t size, uint8_t value) {
    return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void alloc(unsigned pool) {
    static uint8_t tags;
    size_t size = pools[pool].size;
    bool fresh = pools[pool].free == NULL;
    if (count == OUT) {
        return;
    }
    unsigned char *address = fixalloc_alloc(&pools[pool]);
    REQUIRE(address != NULL && (uintptr_t)address % pools[pool].align == 0);
    REQUIRE(!fresh || is_all(address, size, 0));
    memset(address, ++tags, size);
    out[count].address = address;
    out[count].pool = pool;
    out[count++].tag = tags;
}

static void free_one(size_t i) {
    REQUIRE(is_all(out[i].address, pools[out[i].pool].size, out[i].tag));
    fixalloc_free(&pools[out[i].pool], out[i].address);
    out[i] = out[--count];
}

static void bump(size_t size, size_t align) {
    static unsigned char *last;
    static size_t last_size;
    if (persistent_bytes() > ENOUGH) {
        return;
    }
    size_t before = persistent_bytes();
    unsigned char *address = persistent_alloc(size, align);
    REQUIRE(address != NULL && (uintptr_t)address % align == 0 && is_all(address, size, 0));
    REQUIRE(persistent_bytes() == before + size);
    REQUIRE(last == NULL || is_all(last, last_size, 0xa5));
    memset(address, 0xa5, size);
    last = address;
    last_size = size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    while (input.left > 0) {
        size_t kind = take(&input, 1);
        if (kind == 0) {
            bump(take(&input, 3) % (128 * KIB), (size_t)1 << take(&input, 1) % 13);
        } else if (kind % 8 == 0) {
            bump(take(&input, 1) * 8, (size_t)8 << take(&input, 1) % 4);
        } else if (kind % 8 < 5 || count == 0) {
            alloc(kind / 8 % POOLS);
        } else {
            free_one(take(&input, 2) % count);
        }
    }
    while (count > 0) {
        free_one(count - 1);
    }
    return 0;
}
