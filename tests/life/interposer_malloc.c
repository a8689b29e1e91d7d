/*
 * A library to be preloaded beside goalloc that wraps the malloc family, as leak tracers do. It
 * finds the real functions with dlsym at the first call, and while dlsym itself allocates, serves
 * it from a static buffer.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUFFER_BYTES 65536

unsigned long interposer_calls(void);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *ptr, size_t size);
void free(void *ptr);

static unsigned long calls;
static _Alignas(16) char buffer[BUFFER_BYTES];
static size_t buffer_used;

/* Volatile because the compiler takes dlsym for a function that never calls back. */
static volatile bool looking_up;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

unsigned long interposer_calls(void) {
    return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}

static void *from_buffer(size_t size) {
    size_t start = buffer_used;
    size = (size + 15) & ~(size_t)15;
    if (size > BUFFER_BYTES - start) {
        return NULL;
    }
    buffer_used += size;
    return buffer + start;
}

static bool in_buffer(const void *ptr) {
    return (uintptr_t)ptr - (uintptr_t)buffer < BUFFER_BYTES;
}

/* Whether the real functions are there; false while dlsym is at work. */
static bool ready(void) {
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    if (real_free == NULL && !looking_up) {
        looking_up = true;
        (void)dlsym(RTLD_NEXT, "no_such_function_anywhere");
        real_malloc = dlsym(RTLD_NEXT, "malloc");
        real_calloc = dlsym(RTLD_NEXT, "calloc");
        real_realloc = dlsym(RTLD_NEXT, "realloc");
        real_free = dlsym(RTLD_NEXT, "free");
        looking_up = false;
    }
    return real_free != NULL;
}

void *malloc(size_t size) {
    return ready() ? real_malloc(size) : from_buffer(size);
}

/* The buffer is zero and never used twice. */
void *calloc(size_t count, size_t size) {
    return ready() ? real_calloc(count, size) : from_buffer(count * size);
}

void *realloc(void *ptr, size_t size) {
    if (ready() && !in_buffer(ptr)) {
        return real_realloc(ptr, size);
    }
    void *moved = malloc(size);
    if (moved != NULL && ptr != NULL) {
        size_t rest = (size_t)(buffer + BUFFER_BYTES - (char *)ptr);
        memcpy(moved, ptr, size < rest ? size : rest);
    }
    return moved;
}

void free(void *ptr) {
    if (ready() && !in_buffer(ptr)) {
        real_free(ptr);
    }
}
