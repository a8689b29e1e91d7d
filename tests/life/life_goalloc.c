/*
 * The check that a program runs over goalloc. In a file of its own: it needs dlsym, which a static
 * program has not.
 */
#include <dlfcn.h>

#include "life.h"

void life_require_goalloc(void) {
    Dl_info version;
    Dl_info malloc_info;
    void *version_address = dlsym(RTLD_DEFAULT, "goalloc_version");
    void *malloc_address = dlsym(RTLD_DEFAULT, "malloc");
    CHECK(version_address != NULL, "goalloc is not in this process");
    CHECK(dladdr(version_address, &version) != 0 && dladdr(malloc_address, &malloc_info) != 0,
          "dladdr failed");
    CHECK(version.dli_fbase == malloc_info.dli_fbase, "malloc is that of %s",
          malloc_info.dli_fname);
}
