/* The names of goalloc_stack.h from the library that is preloaded: the programs link nothing. */
#ifndef TESTS_MISUSE_MISUSE_STACK_H
#define TESTS_MISUSE_MISUSE_STACK_H

#include <dlfcn.h>

#include <goalloc_stack.h>

static inline void *stack_function(const char *name) {
    void *function = dlsym(RTLD_DEFAULT, name);
    if (function == NULL) {
        _exit(3);
    }
    return function;
}

#define STACK_CALL(type, name) ((type)stack_function(name))

static inline struct goalloc_stack stack_alloc(size_t size, unsigned flags) {
    return STACK_CALL(struct goalloc_stack(*)(size_t, unsigned), "goalloc_stack_alloc")(size,
                                                                                        flags);
}

static inline void stack_free(void *low) {
    STACK_CALL(void (*)(void *), "goalloc_stack_free")(low);
}

static inline void stack_retire(void *low) {
    STACK_CALL(void (*)(void *), "goalloc_stack_retire")(low);
}

static inline void stack_flush(void) {
    STACK_CALL(void (*)(void), "goalloc_stack_flush")();
}

#endif
