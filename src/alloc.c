/* Small, large and aligned blocks, and the slow paths in front of them. See alloc.h and
 * README.md. */
#include "alloc.h"

#include <errno.h>
#include <string.h>

#include "background.h"
#include "block.h"
#include "check.h"
#include "emergency.h"
#include "fatal.h"
#include "foreign.h"
#include "largecache.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "os.h"
#include "scavenge.h"
#include "sparse.h"
#include "stackpool.h"
#include "thread.h"

/* Zeros for a dirty block: from here up, it is worth asking how much of it is resident. Writing to
 * a page that is there takes half as long as giving it back and faulting it in again; where little
 * is there, it is the other way round. From the second bound up, all is given back: asking would
 * take longer than a program that uses little of its block. */
#define DISCARD_FROM (4 * MIB)
#define DISCARD_ALL_FROM (32 * MIB)

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* ---- inside the slow path ---- */

/* A thread without a cache keeps nothing. */
static struct largecache *own_blocks(void) {
    static struct largecache nothing;
    struct mcache *cache = thread_cache();
    return cache != NULL ? &cache->large : &nothing;
}

/* Before fresh pages are used, empty spans go back to the heap: of so many pages that it takes as
 * long as to fault the block's own in. */
static void *large_alloc(size_t size, size_t align, bool *needs_zero) {
    struct span *span = largecache_take(own_blocks(), size, align);
    span = span != NULL ? span : mheap_alloc_large(size, align, MHEAP_BACKED);
    if (span == NULL) {
        mcentral_reclaim(8 * pages_for(size));
        span = mheap_alloc_large(size, align, MHEAP_ANY);
    }
    if (span == NULL) {
        return NULL;
    }
    *needs_zero = span->needs_zero;
    return span_large_start(span);
}

void alloc_release(void) {
    largecache_flush(own_blocks());
    mcentral_trim_all();
    stackpool_release();
    largecache_release(SIZE_MAX);
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

void alloc_free_all(void *block) {
    for (void *next; block != NULL; block = next) {
        next = *(void **)block;
        alloc_free(block);
    }
}

/* What nobody needed for half a second goes back; what a thread keeps, to where others find it. */
static void look_at_clock(void) {
    struct largecache *own = own_blocks();
    background_work();
    if (own->count > 0 && own->period != scavenge_periods()) {
        own->period = scavenge_periods();
        largecache_flush(own);
    }
}

NO_INLINE void alloc_leave_and_look(void) {
    look_at_clock();
    alloc_free_all(thread_leave());
    alloc_free_all(thread_take_orphans());
    background_wake();
}

static void *from_emergency(size_t size, size_t align) {
    void *block = emergency_alloc(size, align);
    return block != NULL ? block : no_memory();
}

/* In checked modes. False: this allocation goes the usual way. */
static bool alloc_checked(size_t size, size_t align, const void *frame, void **block,
                          bool *needs_zero) {
    align = max_size(align, malloc_align(size));
    if (options_check_every()) {
        WITH_RETRY(*block, check_alloc(size, align, frame, needs_zero));
        return true;
    }
    *block = check_samples(size) ? check_sample(size, align, frame, needs_zero) : NULL;
    return *block != NULL;
}

#define IS_CHECKED(...) (UNLIKELY(options.check != CHECK_OFF) && alloc_checked(__VA_ARGS__))

/* A block of its own pages. */
static void *alloc_large(size_t size, size_t align, const void *frame, bool *needs_zero) {
    void *block;
    if (size > PTRDIFF_MAX) {
        return no_memory();
    }
    if (!thread_enter()) {
        *needs_zero = true;
        return from_emergency(size, align);
    }
    if (!IS_CHECKED(size, align, frame, &block, needs_zero)) {
        WITH_RETRY(block, large_alloc(size, align, needs_zero));
    }
    alloc_leave();
    return block != NULL ? block : no_memory();
}

static void *alloc_small(unsigned class, size_t size, size_t align, const void *frame) {
    bool needs_zero;
    void *object;
    if (!thread_enter()) {
        return from_emergency(size, align);
    }
    bool checked = IS_CHECKED(size, align, frame, &object, &needs_zero);
    if (!checked) {
        WITH_RETRY(object, mcache_refill(thread_cache(), class));
    }
    alloc_leave_after(!checked);
    return object != NULL ? object : no_memory();
}

void *alloc_malloc_from(size_t size, const void *frame) {
    size_t align = malloc_align(size);
    bool needs_zero;
    return size > MAX_SMALL_SIZE ? alloc_large(size, align, frame, &needs_zero)
                                 : alloc_small(size_class(size), size, align, frame);
}

SLOW_PATH void *alloc_malloc_slow(size_t size) {
    return alloc_malloc_from(size, __builtin_frame_address(0));
}

/* ---- blocks by their address ---- */

/* Of two threads that free it at the same time one is told: nothing of the span is read before it
 * is ours. */
static void large_free(struct arena *arena, struct span *span, void *block) {
    if (!arena_claim_large(arena, (uintptr_t)block, span)) {
        fatal_misuse("free", block, "double free or wild pointer: no block in use is there");
    }
    if (!largecache_put(own_blocks(), span)) {
        mheap_free(span);
    }
}

static void free_outside(void *pointer) {
    if (!emergency_owns(pointer)) {
        foreign_free("free", pointer);
    } else if (!emergency_free(pointer)) {
        fatal_misuse("free", pointer, "double free or wild pointer: no block in use is there");
    }
}

/* One that is too small for the link, behind which its canary stands, is lost when it would have to
 * be put aside. */
void alloc_free_checked(const char *call, void *pointer, const void *frame) {
    if (thread_enter()) {
        check_free(call, pointer, frame);
        alloc_leave();
    } else if (check_usable_size(call, pointer) >= sizeof(void *)) {
        thread_defer(pointer);
    }
}

/* A large block, an object of a span that drains, or none. */
static NO_INLINE void free_block(struct arena *arena, void *pointer) {
    struct span *span = block_require("free", arena, pointer);
    if (!thread_enter()) {
        thread_defer(pointer);
        return;
    }
    if (span->class != 0) {
        mcentral_give(span->class, &pointer, 1, "free");
    } else {
        large_free(arena, span, pointer);
    }
    alloc_leave();
}

static void free_small(unsigned class, void *object) {
    if (thread_enter()) {
        mcache_overflow(thread_cache(), class, object, "free");
        alloc_leave_after(true);
    } else {
        thread_defer(object);
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
    if (UNLIKELY(options.check != CHECK_OFF) && check_owns(pointer)) {
        alloc_free_checked("free", pointer, __builtin_frame_address(0));
        return;
    }
    unsigned class = arena_page_class(arena, arena_page(arena, (uintptr_t)pointer));
    if (class != 0) {
        free_small(class, pointer);
    } else {
        free_block(arena, pointer);
    }
}

/* ---- zeroed ---- */

/* At least three quarters: what is not there yet becomes resident. */
static void zero_window(char *start, size_t size) {
    if (os_resident(start, size) >= size / 4 * 3 || !os_discard(start, size)) {
        memset(start, 0, size);
    }
}

static void zero_pages(char *start, size_t size) {
    if (size >= DISCARD_ALL_FROM && os_discard(start, size)) {
        return;
    }
    for (size_t done = 0; done < size; done += OS_RESIDENT_MOST) {
        zero_window(start + done, min_size(size - done, OS_RESIDENT_MOST));
    }
}

static void zero_large(char *block, size_t size) {
    size_t page = os_page_size();
    size_t head = size < DISCARD_FROM ? size : -(uintptr_t)block & (page - 1);
    size_t whole = align_down(size - head, page);
    memset(block, 0, head);
    zero_pages(block + head, whole);
    memset(block + head + whole, 0, size - head - whole);
}

static SLOW_PATH void *calloc_slow(size_t bytes) {
    const void *frame = __builtin_frame_address(0);
    bool needs_zero = true;
    void *block = bytes <= MAX_SMALL_SIZE
                      ? alloc_malloc_from(bytes, frame)
                      : alloc_large(bytes, malloc_align(bytes), frame, &needs_zero);
    if (block != NULL && needs_zero) {
        zero_large(block, bytes);
    }
    return block;
}

void *alloc_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return no_memory();
    }
    void *object = alloc_try(bytes);
    return LIKELY(object != NULL) ? memset(object, 0, bytes) : calloc_slow(bytes);
}

/* ---- aligned ---- */

void *alloc_aligned(size_t align, size_t size) {
    unsigned class = size_class_aligned(align, size);
    bool needs_zero;
    if (class == 0) {
        return alloc_large(size, align, __builtin_frame_address(0), &needs_zero);
    }
    void *object = alloc_try(class_to_size[class]);
    return LIKELY(object != NULL) ? object
                                  : alloc_small(class, size, align, __builtin_frame_address(0));
}

void alloc_end(void) {
    if (mcache_front.cache != NULL && thread_enter()) {
        if (thread_cache() != NULL) {
            mcache_flush(thread_cache());
        }
        if (options.check == CHECK_CONTENTS) {
            mcentral_trim_all();
            check_end();
        }
        alloc_leave();
    }
}

size_t alloc_trim(size_t keep) {
    if (!thread_enter()) {
        return 0;
    }
    if (thread_cache() != NULL) {
        mcache_flush(thread_cache());
    }
    alloc_release();
    size_t released = sparse_punch_all() + mheap_release(keep, SIZE_MAX);
    alloc_leave();
    return released;
}
