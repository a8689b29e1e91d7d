/*
 * The mcentral: objects of all classes and shards go out and come back, one by one and many at a
 * time, against a list of those that are out. Each carries its own mark, so one that is handed out
 * twice shows.
 */
#include "fuzz.h"

#include <sys/single_threaded.h>

#include "mcentral.h"
#include "mheap.h"

enum { OBJECTS = 4096, CLASSES = 8, SHARDS = 4 };

struct object {
    size_t *address;
    unsigned class;
};

static struct object out[OBJECTS];
static size_t count;
static size_t marks;
static unsigned classes[CLASSES]; /* of this input */

static void add(unsigned class, void *address) {
    REQUIRE(address != NULL && (uintptr_t)address % 8 == 0);
    out[count++] = (struct object){address, class};
    *(size_t *)address = (size_t)address ^ ++marks << 48;
}

/* The mark is only ever changed by add, so an object that is out twice lost its first one. */
static void *remove_at(size_t i) {
    size_t *address = out[i].address;
    REQUIRE((*address << 16) == ((size_t)address << 16));
    *address = 0;
    out[i] = out[--count];
    return address;
}

static size_t count_of(unsigned class) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += out[i].class == class;
    }
    return n;
}

/* Removes up to n objects of a class, from a place on and every `step` objects; returns how many. */
static unsigned gather(unsigned class, void **objects, unsigned n, size_t from, size_t step) {
    unsigned got = 0;
    size_t i = count > 0 ? from % count : 0;
    for (size_t looked = 0; looked < 2 * OBJECTS && got < n && i < count; looked++) {
        if (out[i].class == class) {
            objects[got++] = remove_at(i);
        }
        i = count > 0 ? (i + step) % count : 0;
    }
    return got;
}

static void take_objects(unsigned shard, unsigned class, unsigned want) {
    void *objects[MCENTRAL_MOST];
    if (count + want > OBJECTS) {
        return;
    }
    unsigned got = mcentral_take(shard, class, objects + MCENTRAL_MOST, want);
    REQUIRE(got > 0 && got <= want);
    for (unsigned i = 0; i < got; i++) {
        add(class, objects[MCENTRAL_MOST - 1 - i]);
    }
}

static void give_objects(unsigned class, unsigned n, size_t from, size_t step) {
    void *objects[MCENTRAL_MOST];
    n = gather(class, objects, n, from, step);
    if (n > 0) {
        mcentral_give(class, objects, n, "free");
    }
}

static void check_class(unsigned class) {
    struct mcentral_stats stats = mcentral_get_stats(class);
    REQUIRE(stats.out == count_of(class) * class_to_size[class]);
    REQUIRE(stats.out <= stats.spans);
    REQUIRE(mcentral_is_valid(class));
}

static void step(struct input *input) {
    size_t kind = take(input, 1), number = take(input, 1);
    unsigned class = classes[number % CLASSES], shard = (unsigned)(number / CLASSES % SHARDS);
    unsigned n = 1 + (unsigned)take(input, 1) % MCENTRAL_MOST;
    switch (kind % 16) {
    case 0:
        check_class(class);
        break;
    case 1:
        mcentral_trim(shard, class, SIZE_MAX);
        break;
    case 2:
        mcentral_begin_trim();
        while (mcentral_trim_some()) {
        }
        break;
    case 3:
        mcentral_trim_all();
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        give_objects(class, n, take(input, 2), kind / 16 + 1);
        break;
    case 11:
        mcentral_reclaim(n);
        break;
    default:
        take_objects(shard, class, n);
        break;
    }
}

/* Among threads, as far as the locks and the mcentrals know, for every other length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    __libc_single_threaded = size % 2 == 0;
    for (size_t i = 0; i < CLASSES; i++) {
        classes[i] = 1 + (unsigned)take(&input, 1) % (CLASS_COUNT - 1);
    }
    while (input.left > 0) {
        step(&input);
    }
    for (size_t i = 0; i < CLASSES; i++) {
        while (count_of(classes[i]) > 0) {
            give_objects(classes[i], MCENTRAL_MOST, 0, 1);
        }
        check_class(classes[i]);
    }
    mcentral_trim_all();
    REQUIRE(mheap_get_stats().in_use == 0 && mheap_is_valid());
    return 0;
}
