/* A pointer 16 bytes into a small object is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(64));
    fill_caches(64);
    free(misused(a + 16));
    overflow_caches();
    return 0;
}
