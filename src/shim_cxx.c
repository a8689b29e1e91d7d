/*
 * C++'s operator new and delete by their mangled names (Itanium ABI, LP64). A request of 0 bytes
 * gives a unique block, as malloc(0) does here. See README.md.
 *
 * Many programs replace plain new and delete only, and the standard has all other forms call these
 * then: arrays the form for one object, those with a size or std::nothrow the one without. The
 * common ones do so here, array and sized delete with no branch for it. The others, some of which
 * must catch what a replaced one throws, are the C++ runtime's own, and call these. All are weak,
 * since a program that replaces some may be linked statically.
 *
 * On failure the new-handler is called until there is memory or no handler; then std::bad_alloc is
 * thrown, by the runtime's own function, which is looked up only then: a C program has none. The
 * exception passes through these C functions by their unwind tables.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "api.h"
#include "fatal.h"

#pragma weak dlsym

#define EXPORT __attribute__((visibility("default"), weak))

typedef void (*new_handler)(void);

EXPORT void *_Znwm(size_t size);
EXPORT void *_Znam(size_t size);
EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align);
EXPORT void _ZdlPv(void *ptr);
EXPORT void _ZdaPv(void *ptr);
EXPORT void _ZdlPvm(void *ptr, size_t size);
EXPORT void _ZdaPvm(void *ptr, size_t size);
EXPORT void _ZdlPvSt11align_val_t(void *ptr, size_t align);
EXPORT void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t align);

/* What those that others call are here, whoever replaces them. */
#define OWN(name) __attribute__((visibility("hidden"), alias(#name)))
extern void own_delete(void *ptr) OWN(_ZdlPv);
extern void own_delete_array(void *ptr) OWN(_ZdaPv);
extern void own_delete_aligned(void *ptr, size_t align) OWN(_ZdlPvSt11align_val_t);

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

/* What the fast path misses: a tail call, so that recorded stacks start in the caller. */
static NO_INLINE void *new_slow(size_t size) {
    void *block = alloc_malloc_from(size, __builtin_frame_address(0));
    return LIKELY(block != NULL) ? block : new_or_throw(size, 0);
}

void *_Znwm(size_t size) {
    void *block = alloc_try(size);
    return LIKELY(block != NULL) ? block : new_slow(size);
}

void *_Znam(size_t size) {
    return _Znwm(size);
}

void *_ZnwmSt11align_val_t(size_t size, size_t align) {
    void *block = api_memalign(align, size);
    return LIKELY(block != NULL) ? block : new_or_throw(size, align);
}

void _ZdlPv(void *ptr) {
    alloc_free(ptr);
}

/* The forms that call it take the fast path below this. It is 0 at first, and stays so where a
 * program replaces plain or array delete; else their first call makes it the limit of the arena. So
 * to ask whose those are takes no branch there. */
static _Atomic size_t delete_limit;

ALWAYS_INLINE bool try_delete(void *ptr) {
    return alloc_try_free_below(atomic_load_explicit(&delete_limit, memory_order_relaxed), ptr);
}

static bool owns_delete(void) {
    return LIKELY(_ZdlPv == own_delete);
}

static bool owns_delete_array(void) {
    return LIKELY(_ZdaPv == own_delete_array);
}

static void note_owner(void) {
    if (owns_delete() && owns_delete_array() &&
        atomic_load_explicit(&delete_limit, memory_order_relaxed) != arenas[0].limit) {
        atomic_store_explicit(&delete_limit, arenas[0].limit, memory_order_relaxed);
    }
}

static NO_INLINE void delete_array_slow(void *ptr) {
    note_owner();
    if (owns_delete()) {
        alloc_free_slow(ptr);
    } else {
        _ZdlPv(ptr);
    }
}

static NO_INLINE void delete_sized_slow(void *ptr, size_t size) {
    note_owner();
    if (owns_delete()) {
        resize_free_sized_slow(ptr, size, 1);
    } else {
        _ZdlPv(ptr);
    }
}

static NO_INLINE void delete_array_sized_slow(void *ptr, size_t size) {
    if (owns_delete_array()) {
        delete_sized_slow(ptr, size);
    } else {
        _ZdaPv(ptr);
    }
}

void _ZdaPv(void *ptr) {
    if (UNLIKELY(!try_delete(ptr))) {
        delete_array_slow(ptr);
    }
}

void _ZdlPvm(void *ptr, size_t size) {
    if (UNLIKELY(!try_delete(ptr))) {
        delete_sized_slow(ptr, size);
    }
}

void _ZdaPvm(void *ptr, size_t size) {
    if (UNLIKELY(!try_delete(ptr))) {
        delete_array_sized_slow(ptr, size);
    }
}

void _ZdlPvSt11align_val_t(void *ptr, size_t align) {
    (void)align;
    alloc_free(ptr);
}

void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t align) {
    if (LIKELY(_ZdlPvSt11align_val_t == own_delete_aligned)) {
        resize_free_sized(ptr, size, align);
    } else {
        _ZdlPvSt11align_val_t(ptr, align);
    }
}
