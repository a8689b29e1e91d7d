/* A block of 10 MB is freed again after its pages were given back. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(10000000));
    free(a);
    malloc_trim(0);
    free(misused(a));
    return 0;
}
