/* A pointer one byte into a small object is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(64));
    fill_caches(64);
    free(misused(a + 1));
    overflow_caches();
    return 0;
}
