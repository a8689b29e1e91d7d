/* A block is freed, another one, and the first again. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(SIZE));
    void *b = hide(malloc(SIZE));
    free(a);
    free(b);
    free(misused(a));
    malloc_trim(0);
    return 0;
}
