/* A block is freed again after many blocks of other sizes were. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(SIZE));
    free(a);
    for (size_t i = 0; i < 500; i++) {
        free(hide(malloc(100 + i)));
    }
    free(misused(a));
    free(hide(malloc(SIZE)));
    malloc_trim(0);
    return 0;
}
