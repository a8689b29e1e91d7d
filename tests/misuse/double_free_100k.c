/* A block of 100 KB is freed twice in a row. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(100000));
    free(a);
    free(misused(a));
    malloc_trim(0);
    return 0;
}
