/* An object of 8 bytes, half of a 16-byte block, is freed twice. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(8));
    void *b = hide(malloc(8));
    fill_caches(8);
    free(a);
    free(b);
    free(misused(a));
    overflow_caches();
    return 0;
}
