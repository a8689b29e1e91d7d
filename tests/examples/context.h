/*
 * A context switch between stacks of goalloc_stack.h, as small as one can be, for the examples and
 * the tests: 20 instructions on x86-64, 30 on arm64, ucontext elsewhere. Copy what you need.
 *
 * A context is created by context_make with the function that it runs, which must not return. The
 * thread's own needs no making: it is saved by the first switch away from it. Contexts may move
 * between threads while nothing runs on them; code that does so must not be compiled so that the
 * address of a thread-local variable is kept over a switch.
 *
 * The sanitizers want to know about switches, or take jumps between stacks for corruption: under
 * their #if there is what they ask for. A context that ends calls context_leave.
 */
#ifndef TESTS_EXAMPLES_CONTEXT_H
#define TESTS_EXAMPLES_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

struct context {
#if defined(__x86_64__) || defined(__aarch64__)
    void *sp;
#else
    ucontext_t state;
#endif
#if defined(__SANITIZE_ADDRESS__)
    void *fake_stack;
    const void *low;
    size_t size;
#elif defined(__SANITIZE_THREAD__)
    void *fiber;
#endif
};

/* ---- the switch ---- */

#if defined(__x86_64__) || defined(__aarch64__)

/* Pushes what a function must preserve, saves the stack pointer, loads another, pops. */
void context_jump(void **save, void *load);

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".weak context_jump\n"
        ".type context_jump, @function\n"
        "context_jump:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
        "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n"
        "    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size context_jump, . - context_jump\n"
        ".popsection\n");

/* The six registers, where the jump returns to, and a return address of 0 for debuggers. */
enum { CONTEXT_FRAME = 8, CONTEXT_ENTRY = 6 };
#else
__asm__(".pushsection .text\n"
        ".weak context_jump\n"
        ".type context_jump, %function\n"
        "context_jump:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp]\n      stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n   stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        "    mov x2, sp\n"
        "    str x2, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp]\n      ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n   ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size context_jump, . - context_jump\n"
        ".popsection\n");

enum { CONTEXT_FRAME = 20, CONTEXT_ENTRY = 11 };
#endif

static inline void context_prepare(struct context *context, void *low, void *high,
                                   void (*entry)(void)) {
    uintptr_t *frame = (uintptr_t *)high - CONTEXT_FRAME;
    (void)low;
    for (int i = 0; i < CONTEXT_FRAME; i++) {
        frame[i] = 0;
    }
    frame[CONTEXT_ENTRY] = (uintptr_t)entry;
    context->sp = frame;
}

static inline void context_go(struct context *from, struct context *to) {
    context_jump(&from->sp, to->sp);
}

#else

static inline void context_prepare(struct context *context, void *low, void *high,
                                   void (*entry)(void)) {
    getcontext(&context->state);
    context->state.uc_stack.ss_sp = low;
    context->state.uc_stack.ss_size = (size_t)((char *)high - (char *)low);
    context->state.uc_link = NULL;
    makecontext(&context->state, entry, 0);
}

static inline void context_go(struct context *from, struct context *to) {
    swapcontext(&from->state, &to->state);
}

#endif

/* ---- with what the sanitizers want ---- */

#if defined(__SANITIZE_ADDRESS__)

void __asan_handle_no_return(void);

static inline void context_make(struct context *context, void *low, void *high,
                                void (*entry)(void)) {
    size_t size = (size_t)((char *)high - (char *)low);
    context_prepare(context, low, high, entry);
    context->fake_stack = NULL;
    context->low = low;
    context->size = size;
}

/* The first thing on a new context, told which one was left. */
static inline void context_begin(struct context *left) {
    __sanitizer_finish_switch_fiber(NULL, &left->low, &left->size);
}

static inline void context_switch(struct context *from, struct context *to) {
    const void *low;
    size_t size;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->size);
    context_go(from, to);
    __sanitizer_finish_switch_fiber(from->fake_stack, &low, &size);
}

/* The functions that never return leave no marks on the stack. */
static inline void context_leave(struct context *from, struct context *to) {
    __asan_handle_no_return();
    __sanitizer_start_switch_fiber(NULL, to->low, to->size);
    context_go(from, to);
}

#elif defined(__SANITIZE_THREAD__)

static inline void context_make(struct context *context, void *low, void *high,
                                void (*entry)(void)) {
    context_prepare(context, low, high, entry);
    context->fiber = __tsan_create_fiber(0);
}

static inline void context_begin(struct context *left) {
    (void)left;
}

static inline void context_switch(struct context *from, struct context *to) {
    from->fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->fiber, 0);
    context_go(from, to);
}

/* The fiber itself is the business of whom it is left for: __tsan_destroy_fiber. */
static inline void context_leave(struct context *from, struct context *to) {
    context_switch(from, to);
}

#else

static inline void context_make(struct context *context, void *low, void *high,
                                void (*entry)(void)) {
    context_prepare(context, low, high, entry);
}

/* The first thing on a new context, told which one was left. */
static inline void context_begin(struct context *left) {
    (void)left;
}

/* Returns when something switches back to `from`. */
static inline void context_switch(struct context *from, struct context *to) {
    context_go(from, to);
}

/* The last thing on a context. */
static inline void context_leave(struct context *from, struct context *to) {
    context_go(from, to);
}

#endif

#endif
