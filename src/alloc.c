/* Small, large and aligned blocks, and the slow paths in front of them. See alloc.h and
 * README.md. */
#include "alloc.h"

#include <errno.h>
#include <string.h>

#include "background.h"
#include "emergency.h"
#include "fatal.h"
#include "foreign.h"
#include "mcentral.h"
#include "mheap.h"
#include "os.h"
#include "scavenge.h"
#include "stackpool.h"
#include "thread.h"

/* From here up, moving pages beats copying them. */
#define MOVE_PAGES_FROM MIB

/* From here up, giving dirty pages back and faulting them in again, where they are used at all,
 * beats writing zeros to all of them. */
#define DISCARD_FROM (4 * MIB)

/* Slow operations of a thread between two looks at the clock. */
enum { SCAVENGE_EVERY = 8 };

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* ---- inside the slow path ---- */

static void *small_alloc(unsigned class) {
    struct mcache *cache = thread_cache();
    if (cache != NULL) {
        return mcache_refill(cache, class);
    }
    void *object = NULL;
    mcentral_take(0, class, &object + 1, 1);
    return object;
}

static void small_free(unsigned class, void *object) {
    struct mcache *cache = thread_cache();
    if (cache != NULL) {
        mcache_overflow(cache, class, object, "free");
    } else {
        mcentral_give(class, &object, 1, "free");
    }
}

static void *large_alloc(size_t size, size_t align, bool *needs_zero) {
    struct span *span = mheap_alloc_large(size, align);
    if (span == NULL) {
        return NULL;
    }
    *needs_zero = span->needs_zero;
    return (void *)span->base;
}

void alloc_release(void) {
    mcentral_release();
    stackpool_release();
}

/* One try, and one more after everything that is cached and shared has gone back to the heap. */
#define WITH_RETRY(result, attempt)                                                                \
    do {                                                                                           \
        (result) = (attempt);                                                                      \
        if ((result) == NULL) {                                                                    \
            alloc_release();                                                                       \
            (result) = (attempt);                                                                  \
        }                                                                                          \
    } while (0)

/* ---- the border of the slow path ---- */

void alloc_leave(void) {
    bool look = ++mcache_front.operations % SCAVENGE_EVERY == 0;
    if (look && scavenge(os_milliseconds())) {
        mcentral_trim_all();
        stackpool_trim();
    }
    void *deferred = thread_leave();
    while (deferred != NULL) {
        void *next = *(void **)deferred;
        alloc_free(deferred);
        deferred = next;
    }
    if (look) {
        background_wake();
    }
}

static void *from_emergency(size_t size, size_t align) {
    void *block = emergency_alloc(size, align);
    return block != NULL ? block : no_memory();
}

/* A block of its own pages. */
static void *alloc_large(size_t size, size_t align, bool *needs_zero) {
    void *block;
    if (size > PTRDIFF_MAX) {
        return no_memory();
    }
    if (!thread_enter()) {
        *needs_zero = true;
        return from_emergency(size, align);
    }
    WITH_RETRY(block, large_alloc(size, align, needs_zero));
    alloc_leave();
    return block != NULL ? block : no_memory();
}

SLOW_PATH void *alloc_malloc_slow(size_t size) {
    bool needs_zero;
    void *object;
    if (size > MAX_SMALL_SIZE) {
        return alloc_large(size, PAGE_SIZE, &needs_zero);
    }
    if (!thread_enter()) {
        return from_emergency(size, 16);
    }
    WITH_RETRY(object, small_alloc(size_class(size)));
    alloc_leave();
    return object != NULL ? object : no_memory();
}

/* ---- blocks by their address ---- */

/* The span of a block that lies in an arena; ends the process if there is no such block. */
static struct span *require_span(const char *call, const struct arena *arena, const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    size_t page = arena_page(arena, address);
    struct span *span = arena->page_span[page];
    if (span == NULL) {
        while (page > 0 && arena->page_span[page] == NULL) {
            page--;
        }
        span = arena->page_span[page];
        if (span == NULL || address - span->base >= span_bytes(span)) {
            fatal_misuse(call, pointer, "double free or wild pointer: no block in use is there");
        }
    }
    if (span->stack != 0) {
        fatal_misuse(call, pointer, "a stack: goalloc_stack_free is for those");
    }
    if (span->class == 0 && span->base != address) {
        fatal_misuse(call, pointer,
                     "pointer into the middle of a block of %zu bytes that starts at %p",
                     span_bytes(span), (void *)span->base);
    }
    return span;
}

/* The same, and for small objects, too, only where one starts. */
static struct span *require_block(const char *call, const struct arena *arena,
                                  const void *pointer) {
    struct span *span = require_span(call, arena, pointer);
    if (span->class == 0 || span_is_object(span, (uintptr_t)pointer)) {
        return span;
    }
    uint32_t index = span_index(span, (uintptr_t)pointer);
    fatal_misuse(call, pointer, "pointer into the middle of a %u-byte object that starts at %p",
                 class_to_size[span->class], (void *)span_object(span, index));
}

static void free_outside(void *pointer) {
    if (emergency_owns(pointer)) {
        emergency_free(pointer);
    } else {
        foreign_free("free", pointer);
    }
}

SLOW_PATH void alloc_free_slow(void *pointer) {
    if (pointer == NULL) {
        return;
    }
    struct arena *arena = arena_of((uintptr_t)pointer);
    if (arena == NULL) {
        free_outside(pointer);
        return;
    }
    struct span *span = require_span("free", arena, pointer);
    if (!thread_enter()) {
        thread_defer(pointer);
        return;
    }
    if (span->class != 0) {
        small_free(span->class, pointer);
    } else {
        mheap_free(span);
    }
    alloc_leave();
}

static size_t usable_size(const char *call, const void *pointer) {
    struct arena *arena = arena_of((uintptr_t)pointer);
    if (arena != NULL) {
        return span_block_size(require_block(call, arena, pointer));
    }
    return emergency_owns(pointer) ? emergency_usable_size(pointer)
                                   : foreign_usable_size(call, pointer);
}

size_t alloc_usable_size(const void *pointer) {
    return pointer == NULL ? 0 : usable_size("malloc_usable_size", pointer);
}

/* ---- zeroed ---- */

static void zero_large(char *block, size_t size) {
    size_t whole = align_down(size, os_page_size());
    bool aligned = (uintptr_t)block % os_page_size() == 0;
    if (size >= DISCARD_FROM && aligned && os_discard(block, whole)) {
        block += whole;
        size -= whole;
    }
    memset(block, 0, size);
}

void *alloc_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return no_memory();
    }
    if (bytes <= MAX_SMALL_SIZE) {
        void *object = alloc_malloc(bytes);
        return object != NULL ? memset(object, 0, bytes) : NULL;
    }
    bool needs_zero;
    void *block = alloc_large(bytes, PAGE_SIZE, &needs_zero);
    if (block != NULL && needs_zero) {
        zero_large(block, bytes);
    }
    return block;
}

/* ---- aligned ---- */

/* The smallest class whose objects are all aligned; 0: none. Spans begin at a page. */
static unsigned aligned_class(size_t align, size_t size) {
    if (align > PAGE_SIZE || size > MAX_SMALL_SIZE) {
        return 0;
    }
    unsigned class = size_class(align_up(max_size(size, 1), align));
    while ((class_to_size[class] & (align - 1)) != 0) {
        class++; /* the largest class is a multiple of a page */
    }
    return class;
}

void *alloc_aligned(size_t align, size_t size) {
    unsigned class = aligned_class(align, size);
    bool needs_zero;
    if (class == 0) {
        return alloc_large(size, max_size(align, PAGE_SIZE), &needs_zero);
    }
    void *object = alloc_malloc(class_to_size[class]);
    if (object != NULL &&
        (uintptr_t)object % align != 0) { /* emergency memory: 16 is all it gives */
        emergency_free(object);
        return from_emergency(size, align);
    }
    return object;
}

/* ---- resized ---- */

static void *resize_by_copy(void *old, size_t old_size, size_t size) {
    void *block = alloc_malloc(size);
    if (block != NULL) {
        memcpy(block, old, min_size(old_size, size));
        alloc_free(old);
    }
    return block;
}

static bool resize_in_place(struct span *span, size_t size) {
    if (span->class != 0 || size <= MAX_SMALL_SIZE || !thread_enter()) {
        return false;
    }
    bool done = mheap_resize(span, size);
    alloc_leave();
    return done;
}

/* To new pages of the heap, without copying when the system can exchange them. */
static void *resize_by_move(struct span *span, size_t size) {
    size_t old_size = span_bytes(span);
    void *old = (void *)span->base, *block = alloc_malloc(size);
    if (block == NULL) {
        return NULL;
    }
    bool whole = (old_size | (uintptr_t)old | (uintptr_t)block) % os_page_size() == 0;
    if (!whole || !os_move_pages(block, old, old_size)) {
        memcpy(block, old, old_size);
    }
    alloc_free(old);
    return block;
}

/* Down to half of the block it stays, so that a size that swings does not copy each time. */
static bool fits(size_t old_size, size_t size) {
    return size <= old_size && (size >= old_size / 2 || old_size <= 16);
}

void *alloc_realloc(void *pointer, size_t size) {
    if (pointer == NULL) {
        return alloc_malloc(size);
    }
    if (size == 0) {
        alloc_free(pointer);
        return NULL;
    }
    size_t old_size = usable_size("realloc", pointer);
    if (fits(old_size, size)) {
        return pointer;
    }
    if (size > PTRDIFF_MAX) {
        return no_memory();
    }
    struct span *span = arena_span((uintptr_t)pointer);
    if (span == NULL) {
        return resize_by_copy(pointer, old_size, size);
    }
    if (resize_in_place(span, size)) {
        return pointer;
    }
    bool large = span->class == 0 && old_size >= MOVE_PAGES_FROM && size > old_size;
    return large ? resize_by_move(span, size) : resize_by_copy(pointer, old_size, size);
}

size_t alloc_trim(size_t keep) {
    if (!thread_enter()) {
        return 0;
    }
    if (thread_cache() != NULL) {
        mcache_flush(thread_cache());
    }
    alloc_release();
    size_t released = mheap_release(keep);
    alloc_leave();
    return released;
}
