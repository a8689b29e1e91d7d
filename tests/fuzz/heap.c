/*
 * The whole allocator by its goalloc_ names: blocks of all kinds in 64 places, whose address, size,
 * alignment and contents the model knows. Sizes lie at the borders of classes and pages more often
 * than not.
 */
#include "fuzz.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "arena.h"
#include "base.h"
#include "goalloc.h"
#include "mcentral.h"
#include "mheap.h"
#include "sizeclass.h"
#include "thread.h"

enum { PLACES = 64, ENDS = 4096 };

struct place {
    unsigned char *address; /* NULL: empty */
    size_t size;
    uint8_t tag;
};

static struct place places[PLACES];
static bool interrupted; /* as in a signal handler that came into the slow path */

/* ---- contents ---- */

/* Of a large block only the ends are used. */
static size_t used_at_start(size_t size) {
    return size <= 2 * ENDS ? size : ENDS;
}

static void write_contents(const struct place *place) {
    size_t used = used_at_start(place->size);
    memset(place->address, place->tag, used);
    memset(place->address + place->size - used, place->tag, used);
}

static bool is_all(const unsigned char *bytes, size_t size, uint8_t value) {
    return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void check_contents(const struct place *place) {
    size_t used = used_at_start(place->size);
    REQUIRE(is_all(place->address, used, place->tag));
    REQUIRE(is_all(place->address + place->size - used, used, place->tag));
}

/* ---- the model ---- */

static size_t take_size(struct input *input) {
    size_t near = take(input, 1) % 5, kind = take(input, 1) % 8;
    switch (kind) {
    case 0:
        return take(input, 1);
    case 1:
        return take(input, 2);
    case 2:
        return (take(input, 1) + 1) * PAGE_SIZE + near - 2;
    case 3:
        return take(input, 3) % (4 * MIB);
    default:
        return class_to_size[1 + take(input, 1) % (CLASS_COUNT - 1)] + near - 2;
    }
}

static size_t take_align(struct input *input) {
    return (size_t)1 << take(input, 1) % 21;
}

static void check_apart(const struct place *place) {
    for (size_t i = 0; i < PLACES; i++) {
        const struct place *other = &places[i];
        REQUIRE(other == place || other->address == NULL ||
                place->address + place->size <= other->address ||
                other->address + goalloc_usable_size(other->address) <= place->address);
    }
}

static void fill_place(struct place *place, void *address, size_t align, size_t size, uint8_t tag) {
    REQUIRE(address != NULL);
    size_t usable = goalloc_usable_size(address);
    REQUIRE(usable >= size && (uintptr_t)address % align == 0);
    REQUIRE(usable <= 8 || (uintptr_t)address % 16 == 0);
    *place = (struct place){address, size, tag};
    check_apart(place);
    write_contents(place);
}

static void empty_place(struct place *place) {
    if (place->address != NULL) {
        check_contents(place);
        goalloc_free(place->address);
        *place = (struct place){.address = NULL};
    }
}

static void *in_thread(void *argument) {
    struct place *place = argument;
    uint8_t tag = place->tag;
    empty_place(place);
    fill_place(place, goalloc_malloc(100), 16, 100, tag);
    goalloc_free(goalloc_malloc(200));
    return NULL;
}

static void use_thread(struct place *place) {
    pthread_t thread;
    bool before = interrupted;
    interrupted = false;
    REQUIRE(pthread_create(&thread, NULL, in_thread, place) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
    interrupted = before;
}

static void resize_place(struct place *place, size_t size, uint8_t tag) {
    struct place old = *place;
    unsigned char *address = goalloc_realloc(old.address, size);
    if (old.address != NULL && size == 0) {
        REQUIRE(address == NULL);
        *place = (struct place){.address = NULL};
        return;
    }
    size_t kept = min_size(used_at_start(old.size), size);
    REQUIRE(address != NULL && (old.address == NULL || is_all(address, kept, old.tag)));
    fill_place(place, address, 8, size, tag);
}

static void zeroed_place(struct place *place, size_t count, size_t size, uint8_t tag) {
    unsigned char *address = goalloc_calloc(count, size);
    REQUIRE(address != NULL && is_all(address, count * size, 0));
    fill_place(place, address, 8, count * size, tag);
}

static void check_refusals(struct input *input) {
    void *out = &out;
    size_t size = SIZE_MAX - take(input, 2);
    errno = 0;
    REQUIRE(goalloc_malloc(size) == NULL && errno == ENOMEM);
    REQUIRE(goalloc_calloc(size / 16, 17) == NULL && goalloc_realloc(NULL, size) == NULL);
    REQUIRE(goalloc_reallocarray(NULL, size, 16) == NULL);
    REQUIRE(goalloc_aligned_alloc(take_align(input), size) == NULL);
    REQUIRE(goalloc_aligned_alloc((size_t)1 << 62, 1) == NULL);
    REQUIRE(goalloc_posix_memalign(&out, 24, 1) == EINVAL);
    REQUIRE(goalloc_posix_memalign(&out, 16, size) == ENOMEM && out == &out);
}

static void change_interruption(void) {
    if (!interrupted) {
        interrupted = true;
        REQUIRE(thread_enter());
        return;
    }
    interrupted = false;
    for (void *next, *block = thread_leave(); block != NULL; block = next) {
        next = *(void **)block;
        goalloc_free(block);
    }
}

/* What is put aside in an interruption still counts. */
static void check_stats(void) {
    struct goalloc_stats stats;
    size_t allocated = 0;
    if (interrupted) {
        change_interruption();
    }
    for (size_t i = 0; i < PLACES; i++) {
        bool counts = arena_of((uintptr_t)places[i].address) != NULL; /* no emergency memory */
        allocated += counts ? goalloc_usable_size(places[i].address) : 0;
    }
    goalloc_get_stats(&stats);
    REQUIRE(stats.allocated == allocated);
}

static void step(struct input *input) {
    size_t kind = take(input, 1);
    struct place *place = &places[take(input, 1) % PLACES];
    uint8_t tag = (uint8_t)(kind * 31 + (size_t)(place - places) + 1);
    size_t size, align;
    void *address = NULL;
    switch (kind % 16) {
    case 0:
    case 1:
    case 2:
        empty_place(place);
        size = take_size(input);
        fill_place(place, goalloc_malloc(size), 8, size, tag);
        break;
    case 3:
        empty_place(place);
        size = take_size(input);
        zeroed_place(place, 1 + size % 3, size / (1 + size % 3), tag);
        break;
    case 4:
    case 5:
        if (place->address != NULL) {
            check_contents(place);
        }
        resize_place(place, take_size(input), tag);
        break;
    case 6:
        empty_place(place);
        align = take_align(input);
        size = take_size(input);
        fill_place(place, goalloc_aligned_alloc(align, size), align, size, tag);
        break;
    case 7:
        empty_place(place);
        align = max_size(take_align(input), sizeof(void *));
        size = take_size(input);
        REQUIRE(goalloc_posix_memalign(&address, align, size) == 0);
        fill_place(place, address, align, size, tag);
        break;
    case 8:
        goalloc_trim(take(input, 2));
        break;
    case 9:
        use_thread(place);
        break;
    case 10:
        check_refusals(input);
        break;
    case 11:
        change_interruption();
        break;
    case 12:
        check_stats();
        break;
    default:
        empty_place(place);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    while (input.left > 0) {
        step(&input);
    }
    for (size_t i = 0; i < PLACES; i++) {
        empty_place(&places[i]);
    }
    check_stats();
    if (size % 4 == 0) {
        goalloc_trim(0);
        REQUIRE(mheap_get_stats().in_use == 0);
    }
    REQUIRE(mheap_is_valid());
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        REQUIRE(mcentral_is_valid(class));
    }
    return 0;
}
