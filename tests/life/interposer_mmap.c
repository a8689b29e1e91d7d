/*
 * A library to be preloaded beside goalloc that wraps mmap and munmap and looks the real ones up
 * with dlsym in every call, as tracing tools do. If goalloc mapped memory through these names, a
 * dlsym that allocates would recurse.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <sys/mman.h>

unsigned long interposer_calls(void);

static unsigned long calls;

unsigned long interposer_calls(void) {
    return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}

/* An unknown name makes dlsym compose an error message, for which it allocates. */
static void *next(const char *name) {
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    (void)dlsym(RTLD_NEXT, "no_such_function_anywhere");
    (void)dlerror();
    return dlsym(RTLD_NEXT, name);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    void *(*real)(void *, size_t, int, int, int, off_t) = next("mmap");
    return real(address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    void *(*real)(void *, size_t, int, int, int, off_t) = next("mmap64");
    return real(address, length, protection, flags, fd, offset);
}

int munmap(void *address, size_t length) {
    int (*real)(void *, size_t) = next("munmap");
    return real(address, length);
}
