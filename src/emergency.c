/*
 * A lock-free allocator for emergencies: blocks of powers of two, cut from regions by an atomic
 * add, recycled on one stack a size. A pop takes the whole stack, keeps the first block and pushes
 * the others back, so the ABA problem cannot arise. See emergency.h and README.md.
 */
#include "emergency.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base.h"
#include "bits.h"
#include "os.h"

enum { REGIONS = 64, SMALLEST_LOG = 6, LARGEST_LOG = 40 };

#define REGION_BYTES MIB

/* Stands right below the address that the caller has; free, at the block's own start. */
struct block {
    union {
        struct block *next;     /* on a stack */
        _Atomic uintptr_t mark; /* in use: see mark_of */
    };
    uintptr_t start;
};

struct region {
    _Atomic uintptr_t base; /* set last; 0: not there (yet) */
    size_t size;
    _Atomic size_t used;
};

struct stack {
    _Atomic(struct block *) first;
};

static struct region regions[REGIONS];
static _Atomic unsigned region_count;
static struct stack stacks[LARGEST_LOG + 1];

static void push_all(struct stack *stack, struct block *first) {
    while (first != NULL) {
        struct block *next = first->next;
        struct block *expected = atomic_load(&stack->first);
        do {
            first->next = expected;
        } while (!atomic_compare_exchange_weak(&stack->first, &expected, first));
        first = next;
    }
}

static uintptr_t pop(struct stack *stack) {
    struct block *all = atomic_exchange(&stack->first, NULL);
    if (all != NULL) {
        push_all(stack, all->next);
    }
    return (uintptr_t)all;
}

static uintptr_t cut(size_t size) {
    unsigned count = min_size(atomic_load(&region_count), REGIONS);
    for (unsigned i = 0; i < count; i++) {
        uintptr_t base = atomic_load(&regions[i].base);
        if (base == 0 || regions[i].size - size > regions[i].size) {
            continue;
        }
        size_t used = atomic_load(&regions[i].used);
        while (used <= regions[i].size - size) {
            if (atomic_compare_exchange_weak(&regions[i].used, &used, used + size)) {
                return base + used;
            }
        }
    }
    return 0;
}

static uintptr_t cut_from_new_region(size_t size) {
    size_t bytes = max_size(size, REGION_BYTES);
    unsigned i = atomic_fetch_add(&region_count, 1);
    if (i >= REGIONS) {
        atomic_fetch_sub(&region_count, 1);
        return 0;
    }
    uintptr_t base = (uintptr_t)os_map(bytes);
    if (base == 0) { /* the place stays usable, unless another thread has taken the next */
        unsigned next = i + 1;
        atomic_compare_exchange_strong(&region_count, &next, i);
        return 0;
    }
    regions[i].size = bytes;
    atomic_store(&regions[i].used, size);
    atomic_store(&regions[i].base, base);
    return base;
}

static struct block *block_of(const void *address) {
    return (struct block *)((uintptr_t)address - sizeof(struct block));
}

/* What no pointer of ours is, nor a small number, and is not the same in two places. */
static uintptr_t mark_of(const void *address) {
    return ~(uintptr_t)address;
}

/* The size of a whole block is kept in the low bits of start, which is a multiple of 64. */
static unsigned log_of(const struct block *block) {
    return (unsigned)(block->start & (((uintptr_t)1 << SMALLEST_LOG) - 1));
}

static uintptr_t start_of(const struct block *block) {
    return block->start - log_of(block);
}

void *emergency_alloc(size_t size, size_t align) {
    size_t slack = align > 16 ? align : 0;
    if (size > (size_t)1 << (LARGEST_LOG - 2) || slack > (size_t)1 << (LARGEST_LOG - 2)) {
        return NULL;
    }
    size_t need = max_size(size + slack + sizeof(struct block), (size_t)1 << SMALLEST_LOG);
    unsigned log = WORD_BITS - (unsigned)__builtin_clzll(need - 1);
    uintptr_t start = pop(&stacks[log]);
    if (start == 0) {
        start = cut((size_t)1 << log);
    }
    if (start == 0) {
        start = cut_from_new_region((size_t)1 << log);
    }
    if (start == 0) {
        return NULL;
    }
    uintptr_t address = align_up(start + sizeof(struct block), max_size(align, 16));
    struct block *block = block_of((void *)address);
    block->start = start | log;
    atomic_store(&block->mark, mark_of((void *)address));
    return (void *)address;
}

bool emergency_free(void *address) {
    uintptr_t mark = mark_of(address);
    if ((uintptr_t)address % sizeof(struct block) != 0 ||
        !atomic_compare_exchange_strong(&block_of(address)->mark, &mark, 0)) {
        return false;
    }
    unsigned log = log_of(block_of(address));
    struct block *block = (struct block *)start_of(block_of(address));
    block->next = NULL;
    push_all(&stacks[log], block);
    return true;
}

size_t emergency_usable_size(const void *address) {
    struct block *block = block_of(address);
    if ((uintptr_t)address % sizeof *block != 0 || atomic_load(&block->mark) != mark_of(address)) {
        return 0;
    }
    return start_of(block) + ((size_t)1 << log_of(block)) - (uintptr_t)address;
}

bool emergency_owns(const void *address) {
    unsigned count = min_size(atomic_load_explicit(&region_count, memory_order_relaxed), REGIONS);
    for (unsigned i = 0; i < count; i++) {
        uintptr_t base = atomic_load(&regions[i].base);
        size_t offset = (uintptr_t)address - base; /* the first bytes are a block's own */
        if (base != 0 && offset >= sizeof(struct block) && offset < regions[i].size) {
            return true;
        }
    }
    return false;
}
