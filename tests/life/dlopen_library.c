/* A library that allocates when it is loaded, when it is used and when it is unloaded. */
#include <stdlib.h>
#include <string.h>

#include "life.h"

static void *kept[20];

__attribute__((constructor)) static void load(void) {
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        kept[i] = life_block(i * i * 100);
    }
}

__attribute__((destructor)) static void unload(void) {
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        life_check_block(kept[i], i * i * 100);
        free(kept[i]);
    }
    life_exercise_heap();
}

/* A block for the caller to free. */
void *dlopen_library_block(size_t size);

void *dlopen_library_block(size_t size) {
    return life_block(size);
}
