/* Canaries and poison. See contents.h and README.md. */
#include "contents.h"

#include <string.h>

#include "bytes.h"
#include "fatal.h"
#include "options.h"

enum { FRONT = 16, UNIT = BYTES_PER_SIZE };

/* Where things are in an object. */
struct layout {
    char *object;
    uint16_t *entry; /* of the table of sizes: the size, and the offset in units */
    size_t whole;
};

static struct layout layout_of(const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    struct arena *arena = arena_of(address);
    const struct span *span = arena->page_span[arena_page(arena, address)];
    uintptr_t object = span_object(span, span_index(span, address));
    uint16_t *entries = (uint16_t *)(void *)arena->sizes.base;
    return (struct layout){(char *)object, &entries[(object - arena->base) / UNIT],
                           class_to_size[span->class]};
}

static char poison(void) {
    return options.zero_freed ? 0 : (char)BYTES_POISON;
}

unsigned contents_class(size_t align, size_t size) {
    size_t front = max_size(align, FRONT);
    return size >= MAX_SMALL_SIZE ? 0 : size_class_aligned(front, front + size + 1);
}

void contents_prepare(struct span *span) {
    struct arena *arena = arena_of(span->base);
    uint16_t *entries = (uint16_t *)(void *)arena->sizes.base;
    memset((void *)span->base, BYTES_CANARY, span_bytes(span));
    memset(&entries[(span->base - arena->base) / UNIT], 0,
           span_bytes(span) / UNIT * sizeof *entries);
}

/* The byte of a free object that somebody wrote to, NULL: none. */
static const char *first_change(const struct layout *at) {
    size_t front = (size_t)at->entry[1] * UNIT, size = at->entry[0];
    const char *block = at->object + front;
    size_t length = at->whole - front - size;
    const char *changed = bytes_first_other(block, size, poison());
    changed = changed != NULL ? changed : bytes_first_other(at->object, front, BYTES_CANARY);
    return changed != NULL ? changed : bytes_first_other(block + size, length, BYTES_CANARY);
}

static void require_untouched(const char *call, const struct layout *at) {
    const char *changed = first_change(at);
    if (changed != NULL) {
        const char *block = at->object + (size_t)at->entry[1] * UNIT;
        fatal_misuse(call, block, "write after free: byte %d of a freed block of %zu bytes",
                     (int)(changed - block), (size_t)at->entry[0]);
    }
}

void *contents_begin(void *object, size_t align, size_t size) {
    struct layout at = layout_of(object);
    size_t front = max_size(align, FRONT);
    require_untouched("malloc", &at);
    at.entry[0] = (uint16_t)size;
    at.entry[1] = (uint16_t)(front / UNIT);
    memset(at.object, BYTES_CANARY, front);
    memset(at.object + front + size, BYTES_CANARY, at.whole - front - size);
    return at.object + front;
}

void *contents_end(const char *call, void *block) {
    struct layout at = layout_of(block);
    size_t size = at.entry[0];
    bytes_require_canary(call, block, size, at.object, at.object + at.whole);
    memset(block, poison(), size);
    return at.object;
}

void contents_verify(const char *call, void *object) {
    struct layout at = layout_of(object);
    require_untouched(call, &at);
}

bool contents_changed(const void *object) {
    struct layout at = layout_of(object);
    return first_change(&at) != NULL;
}

void contents_verify_span(const struct span *span) {
    for (uint32_t i = 0; i < span->objects; i++) {
        contents_verify("free", (void *)span_object(span, i));
    }
}

size_t contents_size(const void *block) {
    return layout_of(block).entry[0];
}
