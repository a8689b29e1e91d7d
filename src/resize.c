/* Blocks by their size, known or changed. See resize.h and README.md. */
#include "resize.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "block.h"
#include "check.h"
#include "emergency.h"
#include "fatal.h"
#include "foreign.h"
#include "mheap.h"
#include "options.h"
#include "os.h"

/* From here up, moving pages beats copying them, unless there are pages to copy to. */
#define MOVE_PAGES_FROM MIB

/* A block has kept more than realloc was asked for, since there was no memory for a smaller one. */
static atomic_bool kept_larger;

/* ---- the size of a block ---- */

/* Of a small object of the first arena, without a look at its span, which would be a cache miss of
 * its own. 0: take that look, as in checked modes, and where by its alignment no object begins. */
ALWAYS_INLINE size_t size_by_page(const void *pointer) {
    const struct arena *arena = &arenas[0];
    size_t offset = (uintptr_t)pointer - arena->base;
    if (UNLIKELY(offset >= arena_opened(arena) || options.check != CHECK_OFF)) {
        return 0;
    }
    size_t size = class_to_size[arena_page_class(arena, offset >> PAGE_SHIFT)];
    size_t power = size & -size; /* the largest power of two that divides it */
    return (offset & (PAGE_SIZE - 1) & (power - 1)) == 0 ? size : 0;
}

static size_t size_outside(const char *call, const void *pointer) {
    if (!emergency_owns(pointer)) {
        return foreign_usable_size(call, pointer);
    }
    size_t size = emergency_usable_size(pointer);
    if (size == 0) {
        fatal_misuse(call, pointer, "freed block or wild pointer: no block in use is there");
    }
    return size;
}

ALWAYS_INLINE size_t size_by_span(const char *call, const void *pointer) {
    struct arena *arena = arena_of((uintptr_t)pointer);
    if (UNLIKELY(options.check != CHECK_OFF) && arena != NULL && check_owns(pointer)) {
        return check_usable_size(call, pointer);
    }
    if (arena != NULL) {
        return span_block_size(block_require(call, arena, pointer));
    }
    return size_outside(call, pointer);
}

static SLOW_PATH size_t usable_size_slow(const void *pointer) {
    return pointer == NULL ? 0 : size_by_span("malloc_usable_size", pointer);
}

size_t resize_usable_size(const void *pointer) {
    size_t size = size_by_page(pointer);
    return LIKELY(size != 0) ? size : usable_size_slow(pointer);
}

/* Of a new block for a request. */
static size_t new_size(size_t size) {
    return size <= MAX_SMALL_SIZE ? class_to_size[size_class(size)]
                                  : mheap_large_pages(size, PAGE_SIZE) << PAGE_SHIFT;
}

/* A block that is resized stays unless a new one would save a quarter of it, so that a size that
 * swings a little does not copy each time. */
ALWAYS_INLINE bool fits(size_t old_size, size_t size) {
    size_t most = old_size / 4 * 3; /* that a new one may have */
    return size <= old_size && (size > most || new_size(size) > most);
}

/* ---- freed with its size ---- */

/* Where the size of the request is not known, it is one that the block can have. */
static void require_size(const char *call, const void *pointer, size_t align, size_t size) {
    size_t known = size_by_span(call, pointer);
    bool exact = options.check != CHECK_OFF && check_knows_size(pointer);
    bool any = align > PAGE_SIZE || atomic_load_explicit(&kept_larger, memory_order_relaxed);
    bool good = exact ? size == known
                : any ? size <= known
                      : fits(known, align_up(max_size(size, 1), align));
    if (!good) {
        fatal_misuse(call, pointer, "size %zu for a block of %zu bytes", size, known);
    }
}

SLOW_PATH void resize_free_sized_slow(void *pointer, size_t size, size_t align) {
    if (pointer != NULL && arena_of((uintptr_t)pointer) != NULL) {
        require_size("free_sized", pointer, align, size);
    }
    alloc_free_slow(pointer);
}

/* ---- resized ---- */

static void *resize_by_copy(void *old, size_t old_size, size_t size) {
    void *block = alloc_malloc(size);
    if (block == NULL && size <= old_size) { /* to make one smaller must not fail */
        atomic_store_explicit(&kept_larger, true, memory_order_relaxed);
        return old;
    }
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, old, min_size(old_size, size));
    alloc_free(old);
    return block;
}

/* To more than MAX_SMALL_SIZE. */
static bool resize_in_place(struct span *span, size_t size) {
    if (span->class != 0 || !thread_enter()) {
        return false;
    }
    bool done = mheap_resize(span, size);
    alloc_leave();
    return done;
}

/* With what lies before the block, which then begins where the old one did in its page. */
static bool move_pages(struct span *to, const struct span *from) {
    size_t bytes = span_bytes(from);
    bool whole = (bytes | from->base | to->base) % os_page_size() == 0;
    if (!whole || bytes > span_bytes(to) ||
        !os_move_pages((void *)to->base, (void *)from->base, bytes)) {
        return false;
    }
    mheap_set_lead(to, from->lead);
    return true;
}

/* To new pages of the heap, without copying when the system can exchange them. Where the new ones
 * are backed by memory, copying is faster: an exchange would drop that, and each old page is to be
 * faulted in again when it is used next. */
static void *resize_by_move(struct span *span, size_t size) {
    void *old = span_large_start(span), *block = alloc_malloc(size + span_lead(span));
    if (block == NULL) {
        return NULL;
    }
    struct span *new = arena_span((uintptr_t)block); /* NULL: emergency memory */
    if (new != NULL && !new->backed && block == span_large_start(new) && move_pages(new, span)) {
        block = span_large_start(new);
    } else {
        memcpy(block, old, span_block_size(span));
    }
    alloc_free(old);
    return block;
}

/* In checked modes small blocks whose size is known always move. */
static void *resize_checked(void *old, size_t old_size, size_t size, const void *frame) {
    if (check_resize(old, size)) {
        return old;
    }
    void *block = NULL;
    if (thread_enter()) {
        block = check_alloc_to_grow(size, frame);
        alloc_leave();
    }
    block = block != NULL ? block : alloc_malloc_from(size, frame);
    if (block != NULL) {
        memcpy(block, old, min_size(old_size, size));
        alloc_free_checked("realloc", old, frame);
    }
    return block;
}

static NO_INLINE void *realloc_slow(void *pointer, size_t size) {
    if (pointer == NULL) {
        return alloc_malloc(size);
    }
    if (size == 0) {
        alloc_free(pointer);
        return NULL;
    }
    size_t old_size = size_by_span("realloc", pointer);
    if (UNLIKELY(old_size == 0 && arena_of((uintptr_t)pointer) == NULL)) {
        fatal_misuse("realloc", pointer, "block of another allocator, of unknown size");
    }
    if (UNLIKELY(options.check != CHECK_OFF) && check_knows_size(pointer)) {
        return resize_checked(pointer, old_size, size, __builtin_frame_address(0));
    }
    if (fits(old_size, size)) {
        return pointer;
    }
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    struct span *span = size > MAX_SMALL_SIZE ? arena_span((uintptr_t)pointer) : NULL;
    if (span == NULL) {
        return resize_by_copy(pointer, old_size, size);
    }
    if (resize_in_place(span, size)) {
        return pointer;
    }
    bool large = span->class == 0 && old_size >= MOVE_PAGES_FROM && size > old_size;
    return large ? resize_by_move(span, size) : resize_by_copy(pointer, old_size, size);
}

/* From one class to another. */
static NO_INLINE void *resize_small(void *old, size_t old_size, size_t size) {
    block_require("realloc", &arenas[0], old);
    return resize_by_copy(old, old_size, size);
}

void *resize_realloc(void *pointer, size_t size) {
    size_t old_size = size_by_page(pointer);
    if (UNLIKELY(old_size == 0 || size == 0)) {
        return realloc_slow(pointer, size);
    }
    if (LIKELY(fits(old_size, size))) {
        return pointer;
    }
    return size <= MAX_SMALL_SIZE ? resize_small(pointer, old_size, size)
                                  : realloc_slow(pointer, size);
}
