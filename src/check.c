/* Blocks in checked modes. See check.h and README.md. */
#include "check.h"

#include <stdatomic.h>
#include <sys/single_threaded.h>

#include "arena.h"
#include "block.h"
#include "contents.h"
#include "fatal.h"
#include "guard.h"
#include "mcentral.h"
#include "mheap.h"
#include "options.h"
#include "quarantine.h"
#include "thread.h"

/* Allocations of small objects that a miss of a thread's cache stands for, more or less. */
enum { PER_REFILL = 32 };

/* Of larger blocks there are few, and to make their pages inaccessible takes long. */
#define SAMPLED_MOST MIB

/* ---- marks ---- */

struct mark {
    _Atomic uint64_t *word;
    uint64_t bit;
};

static struct mark mark_of(const void *pointer) {
    const struct arena *arena = arena_of((uintptr_t)pointer);
    size_t index = ((uintptr_t)pointer - arena->base) / BYTES_PER_MARK;
    return (struct mark){(_Atomic uint64_t *)(void *)arena->marks.base + index / WORD_BITS,
                         UINT64_C(1) << index % WORD_BITS};
}

static void set_mark(const void *pointer) {
    struct mark mark = mark_of(pointer);
    if (__libc_single_threaded) {
        uint64_t word = atomic_load_explicit(mark.word, memory_order_relaxed);
        atomic_store_explicit(mark.word, word | mark.bit, memory_order_relaxed);
    } else {
        atomic_fetch_or_explicit(mark.word, mark.bit, memory_order_relaxed);
    }
}

static bool is_marked(const void *pointer) {
    struct mark mark = mark_of(pointer);
    return (uintptr_t)pointer % BYTES_PER_MARK == 0 &&
           (atomic_load_explicit(mark.word, memory_order_relaxed) & mark.bit) != 0;
}

/* False: it was not set. */
static bool clear_mark(const void *pointer) {
    struct mark mark = mark_of(pointer);
    uint64_t word = atomic_load_explicit(mark.word, memory_order_relaxed);
    if ((uintptr_t)pointer % BYTES_PER_MARK != 0 || (word & mark.bit) == 0) {
        return false;
    }
    if (__libc_single_threaded) {
        atomic_store_explicit(mark.word, word & ~mark.bit, memory_order_relaxed);
        return true;
    }
    return (atomic_fetch_and_explicit(mark.word, ~mark.bit, memory_order_relaxed) & mark.bit) != 0;
}

/* The marked address of the same object, which the pointer is not; NULL: the object is free. */
static const void *find_marked(const struct span *span, const void *pointer) {
    uint32_t index = span_index(span, (uintptr_t)pointer);
    if (span->class == 0 || index >= span->objects) {
        return NULL;
    }
    const char *object = (const char *)span_object(span, index);
    const char *end = object + class_to_size[span->class];
    while (object < end && !is_marked(object)) {
        object += BYTES_PER_MARK;
    }
    return object < end ? object : NULL;
}

static _Noreturn void fail_unmarked(const char *call, const void *pointer) {
    const struct arena *arena = arena_of((uintptr_t)pointer);
    const struct span *span = block_require_span(call, arena, pointer);
    bool sized = options.check == CHECK_CONTENTS && span->class != 0;
    size_t size = sized ? contents_size(pointer) : span_block_size(span);
    const void *start = find_marked(span, pointer);
    if (start != NULL) {
        block_fail_middle(call, pointer, size, start);
    }
    if (!sized) {
        block_require(call, arena, pointer);
    }
    block_fail_free(call, pointer, size);
}

/* ---- small ---- */

/* Good enough to make the order of objects differ. */
static uint32_t next_random(void) {
    static _Atomic uint64_t state;
    uint64_t x = atomic_load_explicit(&state, memory_order_relaxed) + UINT64_C(0x9e3779b97f4a7c15);
    atomic_store_explicit(&state, x, memory_order_relaxed);
    x = (x ^ (uintptr_t)&x) * UINT64_C(0xbf58476d1ce4e5b9); /* the stack's address is random */
    return (uint32_t)(x >> 32) | 1;
}

static void *alloc_small(unsigned class) {
    void *object = mcache_pop(thread_cache(), class, 0);
    if (object != NULL) {
        set_mark(object);
    }
    return object;
}

static void *alloc_with_canaries(unsigned class, size_t size, size_t align) {
    void *object = mcache_pop(thread_cache(), class, next_random());
    if (object == NULL) {
        return NULL;
    }
    void *block = contents_begin(object, align, size);
    set_mark(block);
    return block;
}

static void free_with_canaries(const char *call, void *block) {
    void *object = contents_end(call, block), *out[QUARANTINE_OUT_MOST];
    const struct span *span = arena_span((uintptr_t)object);
    unsigned n = quarantine_exchange(object, class_to_size[span->class], out);
    while (n-- > 0) {
        contents_verify(call, out[n]);
        mcache_push(thread_cache(), arena_span((uintptr_t)out[n])->class, out[n], call);
    }
}

void check_end(void) {
    void *object[QUARANTINE_OUT_MOST];
    for (unsigned n = quarantine_drain(object); n > 0; n = quarantine_drain(object)) {
        while (n-- > 0) {
            contents_verify("exit", object[n]);
        }
    }
    void *changed = mcentral_find_free(contents_changed);
    if (changed != NULL) {
        contents_verify("exit", changed);
    }
}

/* ---- large ---- */

static void *alloc_large(size_t size, size_t align, bool *needs_zero) {
    struct span *span = mheap_alloc_large(size, max_size(align, PAGE_SIZE), MHEAP_ANY);
    if (span == NULL) {
        return NULL;
    }
    *needs_zero = span->needs_zero;
    set_mark((void *)span->base);
    return (void *)span->base;
}

/* ---- all ---- */

void *check_sample(size_t size, size_t align, const void *frame, bool *needs_zero) {
    enum guard_side side = next_random() >> 31 == 0 ? GUARD_BEHIND : GUARD_BEFORE;
    return guard_alloc(size, align, side, frame, needs_zero);
}

static void *alloc_guarded(size_t size, size_t align, const void *frame, bool *needs_zero) {
    if (options.check == CHECK_CONTENTS) {
        return guard_alloc(size, align, GUARD_BEHIND, frame, needs_zero);
    }
    return options.check == CHECK_SAMPLES ? check_sample(size, align, frame, needs_zero) : NULL;
}

void *check_alloc(size_t size, size_t align, const void *frame, bool *needs_zero) {
    unsigned class = options.check == CHECK_CONTENTS ? contents_class(align, size) : 0;
    *needs_zero = true;
    if (class != 0) {
        return alloc_with_canaries(class, size, align);
    }
    void *block = alloc_guarded(size, align, frame, needs_zero);
    if (block != NULL) {
        return block;
    }
    class = options.check == CHECK_CONTENTS ? 0 : size_class_aligned(align, size);
    return class != 0 ? alloc_small(class) : alloc_large(size, align, needs_zero);
}

/* Each thread counts down for itself, the first time from some number up to the rate. */
bool check_samples(size_t size) {
    uint32_t weight = size > MAX_SMALL_SIZE ? 1 : PER_REFILL, rate = (uint32_t)options.guard_rate;
    uint32_t left = mcache_front.until_sample;
    if (options.check != CHECK_SAMPLES || size > SAMPLED_MOST) {
        return false;
    }
    if (left == 0) {
        left = 1 + next_random() % rate;
    }
    bool turn = left <= weight;
    mcache_front.until_sample = turn ? rate : left - weight;
    return turn;
}

bool check_owns(const void *pointer) {
    return options_check_every() || guard_owns(pointer);
}

void check_free(const char *call, void *pointer, const void *frame) {
    if (guard_owns(pointer)) {
        guard_free(call, pointer, frame);
        return;
    }
    if (!clear_mark(pointer)) {
        fail_unmarked(call, pointer);
    }
    struct span *span = arena_span((uintptr_t)pointer);
    if (span->class == 0) {
        mheap_free(span);
    } else if (options.check == CHECK_CONTENTS) {
        free_with_canaries(call, pointer);
    } else {
        mcache_push(thread_cache(), span->class, pointer, call);
    }
}

size_t check_usable_size(const char *call, const void *pointer) {
    if (guard_owns(pointer)) {
        return guard_usable_size(call, pointer);
    }
    if (!is_marked(pointer)) {
        fail_unmarked(call, pointer);
    }
    return check_knows_size(pointer) ? contents_size(pointer)
                                     : span_block_size(arena_span((uintptr_t)pointer));
}

void *check_alloc_to_grow(size_t size, const void *frame) {
    bool needs_zero;
    return size <= MAX_SMALL_SIZE || size > PTRDIFF_MAX || !options_check_every()
               ? NULL
               : guard_alloc(size, malloc_align(size), GUARD_BEFORE, frame, &needs_zero);
}

bool check_resize(void *pointer, size_t size) {
    return options_check_every() && size > MAX_SMALL_SIZE && guard_owns(pointer) &&
           guard_resize("realloc", pointer, size);
}

bool check_knows_size(const void *pointer) {
    const struct span *span = arena_span((uintptr_t)pointer);
    bool small = span != NULL && span->class != 0;
    return guard_owns(pointer) || (small && options.check == CHECK_CONTENTS);
}
