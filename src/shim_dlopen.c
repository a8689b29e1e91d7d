/*
 * dlopen(3) without RTLD_DEEPBIND, for a preloaded or linked libgoalloc.so. A library loaded with
 * that flag looks for symbols in itself and the libraries it needs before the program: it finds the
 * C library's free, which ends the process when it is given a block of ours. PHP loads its
 * extensions so. GOALLOC_DEEPBIND=1 leaves the flag, for libraries that share no blocks with the
 * program and have symbols that clash with its own. See LD_PRELOAD.md.
 */
#include <dlfcn.h>
#include <stddef.h>

#include "options.h"

/* The last call is a jump: the dynamic linker searches the paths of the object that it is called
 * from, and that must be the caller's. */
__attribute__((visibility("default"))) void *dlopen(const char *file, int mode) {
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return next == NULL ? NULL : next(file, options.deepbind ? mode : mode & ~RTLD_DEEPBIND);
}
