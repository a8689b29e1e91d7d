/* An address inside a block is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(SIZE));
    free(misused(a + 16));
    malloc_trim(0);
    return 0;
}
