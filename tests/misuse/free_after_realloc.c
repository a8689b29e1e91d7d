/* A block that realloc moved away is freed at its old place. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(64));
    void *b = hide(realloc(a, 1000));
    void *c = hide(malloc(64));
    void *d = hide(malloc(64));
    fill_caches(64);
    free(b);
    free(c);
    free(d);
    free(misused(a));
    overflow_caches();
    return 0;
}
