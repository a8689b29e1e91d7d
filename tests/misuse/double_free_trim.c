/* A small object is freed twice; malloc_trim empties the caches and brings it to light. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(64));
    void *b = hide(malloc(64));
    free(a);
    free(b);
    free(misused(a));
    malloc_trim(0);
    return 0;
}
