/* A small object is freed twice in a row. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(64));
    fill_caches(64);
    free(a);
    free(misused(a));
    overflow_caches();
    return 0;
}
