/*
 * C++'s operator new and delete in all replaceable forms, by their mangled names (Itanium ABI,
 * LP64). A request of 0 bytes gives a unique block, as malloc(0) does here. See README.md.
 *
 * On failure the new-handler is called until there is memory or no handler; then std::bad_alloc is
 * thrown, by the C++ runtime's own function, which is looked up only then: a C program has none.
 * The exception passes through these C functions by their unwind tables. A nothrow form must catch
 * what the handler throws, which C cannot: when a handler is set, it hands the request to the
 * runtime's own nothrow form, which calls back into the plain form here and catches.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "api.h"
#include "fatal.h"

#pragma weak dlsym

#define EXPORT __attribute__((visibility("default")))

typedef void (*new_handler)(void);
struct nothrow; /* std::nothrow_t */

EXPORT void *_Znwm(size_t size);
EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align);

/* std::get_new_handler, std::__throw_bad_alloc and the runtime's nothrow forms, where they are. */
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* A C++ runtime may have come with a dlopen, out of reach of a weak reference. */
static void *find(void *linked, const char *name) {
    return linked != NULL || dlsym == NULL ? linked : dlsym(RTLD_DEFAULT, name);
}

static new_handler current_handler(void) {
    void *get = find((void *)_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv");
    return get == NULL ? NULL : ((new_handler(*)(void))get)();
}

static _Noreturn void throw_bad_alloc(void) {
    void *throw_it = find((void *)_ZSt17__throw_bad_allocv, "_ZSt17__throw_bad_allocv");
    if (throw_it == NULL) {
        fatal("operator new: no memory, and no C++ runtime to throw std::bad_alloc");
    }
    ((void (*)(void))throw_it)();
    __builtin_unreachable();
}

static void *try_new(size_t size, size_t align) {
    return align == 0 ? alloc_malloc(size) : api_memalign(align, size);
}

/* After a first failure. align 0: the default. */
static NO_INLINE void *new_or_throw(size_t size, size_t align) {
    for (;;) {
        new_handler handler = current_handler();
        if (handler == NULL) {
            throw_bad_alloc();
        }
        handler();
        void *block = try_new(size, align);
        if (block != NULL) {
            return block;
        }
    }
}

static void *next_if_handled(const char *name) {
    return current_handler() != NULL && dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;
}

static NO_INLINE void *new_or_null(size_t size, const struct nothrow *tag) {
    void *next = next_if_handled("_ZnwmRKSt9nothrow_t");
    return next == NULL ? NULL : ((void *(*)(size_t, const struct nothrow *))next)(size, tag);
}

static NO_INLINE void *new_aligned_or_null(size_t size, size_t align, const struct nothrow *tag) {
    void *next = next_if_handled("_ZnwmSt11align_val_tRKSt9nothrow_t");
    return next == NULL
               ? NULL
               : ((void *(*)(size_t, size_t, const struct nothrow *))next)(size, align, tag);
}

/* What the fast path misses: tail calls, so that recorded stacks start in the caller. */
static NO_INLINE void *new_slow(size_t size) {
    void *block = alloc_malloc_from(size, __builtin_frame_address(0));
    return LIKELY(block != NULL) ? block : new_or_throw(size, 0);
}

static NO_INLINE void *new_nothrow_slow(size_t size, const struct nothrow *tag) {
    void *block = alloc_malloc_from(size, __builtin_frame_address(0));
    return LIKELY(block != NULL) ? block : new_or_null(size, tag);
}

#define NEW(name)                                                                                  \
    EXPORT void *name(size_t size);                                                                \
    void *name(size_t size) {                                                                      \
        void *block = alloc_try(size);                                                             \
        return LIKELY(block != NULL) ? block : new_slow(size);                                     \
    }

#define NEW_NOTHROW(name)                                                                          \
    EXPORT void *name(size_t size, const struct nothrow *tag);                                     \
    void *name(size_t size, const struct nothrow *tag) {                                           \
        void *block = alloc_try(size);                                                             \
        return LIKELY(block != NULL) ? block : new_nothrow_slow(size, tag);                        \
    }

#define NEW_ALIGNED(name)                                                                          \
    EXPORT void *name(size_t size, size_t align);                                                  \
    void *name(size_t size, size_t align) {                                                        \
        void *block = api_memalign(align, size);                                                   \
        return LIKELY(block != NULL) ? block : new_or_throw(size, align);                          \
    }

#define NEW_ALIGNED_NOTHROW(name)                                                                  \
    EXPORT void *name(size_t size, size_t align, const struct nothrow *tag);                       \
    void *name(size_t size, size_t align, const struct nothrow *tag) {                             \
        void *block = api_memalign(align, size);                                                   \
        return LIKELY(block != NULL) ? block : new_aligned_or_null(size, align, tag);              \
    }

/* A nothrow tag behind the pointer changes nothing. */
#define DELETE(name)                                                                               \
    EXPORT void name(void *ptr);                                                                   \
    void name(void *ptr) {                                                                         \
        alloc_free(ptr);                                                                           \
    }

#define DELETE_SIZED(name)                                                                         \
    EXPORT void name(void *ptr, size_t size);                                                      \
    void name(void *ptr, size_t size) {                                                            \
        resize_free_sized(ptr, size, 1);                                                           \
    }

#define DELETE_ALIGNED_SIZED(name)                                                                 \
    EXPORT void name(void *ptr, size_t size, size_t align);                                        \
    void name(void *ptr, size_t size, size_t align) {                                              \
        resize_free_sized(ptr, size, align);                                                       \
    }

NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE_SIZED(_ZdlPvm)
DELETE_SIZED(_ZdaPvm)
DELETE(_ZdlPvRKSt9nothrow_t)
DELETE(_ZdaPvRKSt9nothrow_t)
DELETE(_ZdlPvSt11align_val_t)
DELETE(_ZdaPvSt11align_val_t)
DELETE_ALIGNED_SIZED(_ZdlPvmSt11align_val_t)
DELETE_ALIGNED_SIZED(_ZdaPvmSt11align_val_t)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t)
