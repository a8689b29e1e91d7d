/* An address in the heap's address space far beyond any block is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(100000));
    free(misused(a + ((size_t)1 << 36)));
    return 0;
}
