/* A block of 100 KB is freed again after another one was freed. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(100000));
    void *b = hide(malloc(100000));
    free(a);
    free(b);
    free(misused(a));
    malloc_trim(0);
    return 0;
}
