/* A block is freed twice, the second time when its memory may be another block already, and that
 * one is freed, too. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(SIZE));
    free(a);
    void *b = hide(malloc(SIZE));
    free(misused(a));
    free(b);
    malloc_trim(0);
    return 0;
}
