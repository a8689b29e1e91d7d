/* A small object is freed again after another one; some thousand frees bring it to light. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(64));
    void *b = hide(malloc(64));
    fill_caches(64);
    free(a);
    free(b);
    free(misused(a));
    overflow_caches();
    return 0;
}
