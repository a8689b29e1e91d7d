/* An address in the heap's address space beyond all blocks is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(100000));
    free(misused(a + ((size_t)1 << 30)));
    return 0;
}
