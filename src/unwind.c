/* A walk along frame pointers. See unwind.h and README.md. */
#include "unwind.h"

#include "base.h"
#include "fatal.h"
#include "maps.h"
#include "os.h"

struct frame {
    const struct frame *caller;
    uintptr_t pc;
};

/* No function has more on the stack; and below is nothing that returns anywhere. */
#define LARGEST_FRAME MIB
#define LOWEST_PC (4 * KIB)

/* Asks the system once a page. */
static bool is_readable(const struct frame *frame, uintptr_t *page) {
    uintptr_t now = align_down((uintptr_t)frame, 4 * KIB);
    if ((uintptr_t)frame % sizeof(struct frame) != 0) {
        return false;
    }
    if (now != *page && !os_is_readable(frame)) {
        return false;
    }
    *page = now;
    return true;
}

static void walk(const struct frame *frame, struct backtrace *stack, unsigned n) {
    uintptr_t page = 1; /* none */
    while (n < BACKTRACE_MOST && is_readable(frame, &page) && frame->pc >= LOWEST_PC) {
        stack->pc[n++] = frame->pc;
        uintptr_t step = (uintptr_t)frame->caller - (uintptr_t)frame;
        if (step == 0 || step > LARGEST_FRAME) {
            break;
        }
        frame = frame->caller;
    }
}

void unwind(const void *frame, struct backtrace *stack) {
    *stack = (struct backtrace){{0}};
    walk(frame, stack, 0);
}

void unwind_from(uintptr_t pc, const void *frame, struct backtrace *stack) {
    *stack = (struct backtrace){{pc}};
    walk(frame, stack, 1);
}

void unwind_print(const struct backtrace *stack) {
    for (unsigned i = 0; i < BACKTRACE_MOST && stack->pc[i] != 0; i++) {
        struct map_line line;
        uintptr_t pc = stack->pc[i];
        if (maps_find(pc, &line) == MAPS_FOUND && line.name[0] != '\0') {
            warn("    %p %s+0x%x", (void *)pc, line.name, pc - line.module);
        } else {
            warn("    %p", (void *)pc);
        }
    }
}
