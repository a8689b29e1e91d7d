/* Guarded blocks and the report of a fault in one. See guard.h and README.md. */
#include "guard.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "arena.h"
#include "block.h"
#include "bytes.h"
#include "fatal.h"
#include "fault.h"
#include "fixalloc.h"
#include "mheap.h"
#include "options.h"
#include "os.h"

/* Address space that freed blocks may keep. */
#define FREED_BYTES_MOST GIB

enum state { IN_USE, FREED };

/* Who did something, and where. */
struct event {
    unsigned thread;
    struct backtrace stack;
};

/* span->base < start <= block, block + size <= end < the span's end; the pages from start to end
 * can be accessed while the block is in use. */
struct guarded {
    struct guarded *next; /* in the queue of freed ones */
    struct span *span;
    char *start;
    char *end;
    char *block;
    size_t size;
    _Atomic enum state state;
    atomic_bool reported;
    struct event allocated;
    struct event freed;
};

static struct fixalloc pool = FIXALLOC_INIT(sizeof(struct guarded), 8);

/* first, last, freed_count and freed_bytes are those of the queue of freed blocks. */
static struct lock lock = LOCK_INIT;
static struct guarded *first;
static struct guarded *last;
static size_t freed_count;
static size_t freed_bytes;
static _Atomic size_t in_use;

static struct guarded *find(const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    struct arena *arena = arena_of(address);
    const struct span *span = arena == NULL ? NULL : arena->page_span[arena_page(arena, address)];
    bool guarded = span != NULL && span->magic == SPAN_GUARDED;
    return guarded ? (struct guarded *)(uintptr_t)span->bits[0] : NULL;
}

bool guard_owns(const void *pointer) {
    return find(pointer) != NULL;
}

static void record(struct event *event, const void *frame) {
    event->thread = os_thread_id();
    unwind(frame, &event->stack);
}

static void print_event(const char *what, const struct event *event) {
    warn("  %s by thread %u:", what, event->thread);
    unwind_print(&event->stack);
}

static void print_events(const struct guarded *guarded) {
    print_event("allocated", &guarded->allocated);
    if (atomic_load(&guarded->state) == FREED) {
        print_event("freed", &guarded->freed);
    }
}

/* ---- the fault ---- */

/*
 * The first handler is installed with the first guarded block. One that the program installs later
 * is found at a further block, and gets the second in front of it. The program's may call the one
 * that it found, or install that again; so it is another one, which passes on to what was there
 * before. A third is left alone: it comes first, and may pass on to the second.
 */
enum { HANDLERS = 2 };
static struct sigaction behind[HANDLERS]; /* what each passes on to */
static unsigned installed;

static void explain(const struct guarded *guarded, const char *address, const char *access) {
    const char *end = guarded->block + guarded->size;
    if (atomic_load(&guarded->state) == FREED) {
        warn("use after free: %s at %p, byte %d of a freed block of %zu bytes at %p", access,
             address, (int)(address - guarded->block), guarded->size, guarded->block);
    } else if (address >= end) {
        warn("overflow: %s at %p, byte %zu of a block of %zu bytes at %p", access, address,
             (size_t)(address - guarded->block), guarded->size, guarded->block);
    } else {
        warn("underflow: %s at %p, %zu bytes before a block of %zu bytes at %p", access, address,
             (size_t)(guarded->block - address), guarded->size, guarded->block);
    }
}

/* As if it had been installed itself. The default action ends the process: by the same access once
 * more, or where the signal was sent, by sending it again. */
static void pass_on(struct sigaction *to, int signal, siginfo_t *info, void *context) {
    struct sigaction action = *to;
    if ((action.sa_flags & SA_RESETHAND) != 0) { /* only this time */
        to->sa_handler = SIG_DFL;
        to->sa_flags = 0;
    }
    if ((action.sa_flags & SA_SIGINFO) != 0) {
        action.sa_sigaction(signal, info, context);
    } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
        action.sa_handler(signal);
    } else {
        sigaction(signal, &action, NULL);
        if (info->si_code <= 0) {
            raise(signal);
        }
    }
}

/* Of each block the first fault: without a handler that does something about it there are many. */
static void report(const siginfo_t *info, void *context) {
    struct guarded *guarded = find(info->si_addr);
    if (guarded != NULL && !atomic_exchange(&guarded->reported, true)) {
        struct event access;
        explain(guarded, info->si_addr, fault_access(context));
        access.thread = os_thread_id();
        unwind_from(fault_pc(context), fault_frame(context), &access.stack);
        print_event("accessed", &access);
        print_events(guarded);
    }
}

static void handle_first(int signal, siginfo_t *info, void *context) {
    report(info, context);
    pass_on(&behind[0], signal, info, context);
}

static void handle_second(int signal, siginfo_t *info, void *context) {
    report(info, context);
    pass_on(&behind[1], signal, info, context);
}

static void install_handler_locked(void) {
    static void (*const handler[HANDLERS])(int, siginfo_t *, void *) = {handle_first,
                                                                        handle_second};
    struct sigaction now;
    if (installed == HANDLERS || sigaction(SIGSEGV, NULL, &now) != 0 ||
        ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handle_first)) {
        return;
    }
    behind[installed] = now;
    now.sa_sigaction = handler[installed++];
    now.sa_flags = (now.sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &now, NULL);
}

/* ---- pages ---- */

static void set_page_spans(const struct span *span, struct span *value) {
    struct arena *arena = arena_of(span->base);
    size_t page = arena_page(arena, span->base);
    for (size_t i = 1; i < span->pages; i++) {
        arena->page_span[page + i] = value;
    }
}

/* Its pages are accessible, or else lost. */
static void destroy(struct guarded *guarded) {
    struct span *span = guarded->span;
    if (!os_open((void *)span->base, span_bytes(span))) {
        return;
    }
    set_page_spans(span, NULL);
    span->magic = 0;
    mheap_free(span);
    fixalloc_free(&pool, guarded);
}

static void lay_out(struct guarded *guarded, size_t align, enum guard_side side) {
    size_t page = os_page_size();
    uintptr_t low = guarded->span->base + page;
    uintptr_t high = guarded->span->base + span_bytes(guarded->span) - page;
    uintptr_t block = side == GUARD_BEFORE ? align_up(low, align)
                                           : align_down(high - max_size(guarded->size, 1), align);
    guarded->block = (char *)block;
    guarded->start = (char *)align_down(block, page);
    guarded->end = (char *)align_up(block + max_size(guarded->size, 1), page);
}

static bool protect(struct guarded *guarded) {
    char *base = (char *)guarded->span->base, *end = base + span_bytes(guarded->span);
    memset(guarded->start, BYTES_CANARY, (size_t)(guarded->block - guarded->start));
    memset(guarded->block + guarded->size, BYTES_CANARY,
           (size_t)(guarded->end - guarded->block) - guarded->size);
    return os_forbid(base, (size_t)(guarded->start - base)) &&
           os_forbid(guarded->end, (size_t)(end - guarded->end));
}

/* ---- the queue of freed blocks ---- */

/* The oldest one while there are too many, but not the last; all: in any case. */
static struct guarded *pop_freed(bool all) {
    lock_acquire(&lock);
    bool over = freed_count > options.guard_slots / 2 ||
                (freed_bytes > FREED_BYTES_MOST && freed_count > 1);
    struct guarded *oldest = all || over ? first : NULL;
    if (oldest != NULL) {
        first = oldest->next;
        freed_count--;
        freed_bytes -= span_bytes(oldest->span);
    }
    lock_release(&lock);
    return oldest;
}

static void destroy_freed(bool all) {
    struct guarded *oldest;
    while ((oldest = pop_freed(all)) != NULL) {
        destroy(oldest);
    }
}

static void push_freed(struct guarded *guarded) {
    guarded->next = NULL;
    lock_acquire(&lock);
    if (first == NULL) {
        first = guarded;
    } else {
        last->next = guarded;
    }
    last = guarded;
    freed_count++;
    freed_bytes += span_bytes(guarded->span);
    lock_release(&lock);
}

/* ---- blocks ---- */

static struct guarded *create(size_t size, size_t align) {
    size_t slack = align > os_page_size() ? align : 0;
    size_t bytes = max_size(size, 1) + slack + 2 * os_page_size();
    struct span *span = mheap_alloc_large(bytes, max_size(os_page_size(), PAGE_SIZE), MHEAP_ANY);
    if (span == NULL) {
        destroy_freed(true);
        span = mheap_alloc_large(bytes, max_size(os_page_size(), PAGE_SIZE), MHEAP_ANY);
    }
    struct guarded *guarded = span == NULL ? NULL : fixalloc_alloc(&pool);
    if (guarded == NULL && span != NULL) {
        mheap_free(span);
    }
    if (guarded != NULL) {
        guarded->span = span;
        guarded->size = size;
    }
    return guarded;
}

static bool take_slot(void) {
    bool taken = atomic_fetch_add(&in_use, 1) < options.guard_slots / 2;
    if (!taken) {
        atomic_fetch_sub(&in_use, 1);
    }
    return taken;
}

void *guard_alloc(size_t size, size_t align, enum guard_side side, const void *frame,
                  bool *needs_zero) {
    if (size > PTRDIFF_MAX / 2 || align > PTRDIFF_MAX / 2 || !take_slot()) {
        return NULL;
    }
    struct guarded *guarded = create(size, align);
    if (guarded == NULL) {
        atomic_fetch_sub(&in_use, 1);
        return NULL;
    }
    struct span *span = guarded->span;
    *needs_zero = span->needs_zero;
    atomic_store(&guarded->state, IN_USE);
    atomic_store(&guarded->reported, false);
    record(&guarded->allocated, frame);
    lay_out(guarded, align, side);
    span->bits[0] = (uintptr_t)guarded;
    span->magic = SPAN_GUARDED;
    set_page_spans(span, span);
    if (!protect(guarded)) {
        destroy(guarded);
        atomic_fetch_sub(&in_use, 1);
        return NULL;
    }
    lock_acquire(&lock);
    install_handler_locked();
    lock_release(&lock);
    return guarded->block;
}

static struct guarded *require(const char *call, const void *pointer) {
    struct guarded *guarded = find(pointer);
    if (guarded->block != pointer) {
        print_events(guarded);
        block_fail_middle(call, pointer, guarded->size, guarded->block);
    }
    return guarded;
}

static _Noreturn void fail_freed(const char *call, const struct guarded *guarded) {
    print_events(guarded);
    block_fail_free(call, guarded->block, guarded->size);
}

void guard_free(const char *call, void *pointer, const void *frame) {
    struct guarded *guarded = require(call, pointer);
    enum state expected = IN_USE;
    if (!atomic_compare_exchange_strong(&guarded->state, &expected, FREED)) {
        fail_freed(call, guarded);
    }
    bytes_require_canary(call, guarded->block, guarded->size, guarded->start, guarded->end);
    record(&guarded->freed, frame);
    size_t size = (size_t)(guarded->end - guarded->start);
    os_discard(guarded->start, size);
    os_forbid(guarded->start, size);
    atomic_fetch_sub(&in_use, 1);
    push_freed(guarded);
    destroy_freed(false);
}

size_t guard_usable_size(const char *call, const void *pointer) {
    struct guarded *guarded = require(call, pointer);
    if (atomic_load(&guarded->state) == FREED) {
        fail_freed(call, guarded);
    }
    return guarded->size;
}

/* Has the accessible pages end at `end`. */
static bool move_end(struct guarded *guarded, char *end) {
    if (end > guarded->end) {
        return os_open(guarded->end, (size_t)(end - guarded->end));
    }
    size_t size = (size_t)(guarded->end - end);
    return size == 0 || (os_discard(end, size) && os_forbid(end, size));
}

bool guard_resize(const char *call, void *pointer, size_t size) {
    struct guarded *guarded = require(call, pointer);
    uintptr_t page = os_page_size(), start = (uintptr_t)pointer;
    char *end = (char *)align_up(start + max_size(size, 1), page);
    bytes_require_canary(call, pointer, guarded->size, guarded->start, guarded->end);
    if (end > (char *)(guarded->span->base + span_bytes(guarded->span) - page) ||
        !move_end(guarded, end)) {
        return false;
    }
    guarded->size = size;
    guarded->end = end;
    memset(guarded->block + size, BYTES_CANARY, (size_t)(end - guarded->block) - size);
    return true;
}

size_t guard_freed_bytes(void) {
    lock_acquire(&lock);
    size_t bytes = freed_bytes;
    lock_release(&lock);
    return bytes;
}

/* The blocks in a queue that another thread was changing stay where they are for ever. */
void guard_reset_in_child(void) {
    fixalloc_reset_in_child(&pool);
    if (lock_reset_in_child(&lock)) {
        first = NULL;
        freed_count = freed_bytes = 0;
    }
}
