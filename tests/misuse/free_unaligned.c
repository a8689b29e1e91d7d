/* An address inside a block is freed that no block can have. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(SIZE));
    free(misused(a + 1));
    malloc_trim(0);
    return 0;
}
