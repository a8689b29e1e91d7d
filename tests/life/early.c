/*
 * Uses the heap after a preloaded library used it before goalloc was initialised; see
 * early_library.c.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

int main(void) {
    life_require_goalloc();
    const char *loaded = getenv("LIFE_EARLY_LIBRARY");
    CHECK(loaded != NULL && strcmp(loaded, "loaded") == 0, "the early library did not run");
    void (*early_check)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "early_check");
    CHECK(early_check != NULL, "no early_check");
    early_check();
    life_exercise_heap();
    return 0;
}
