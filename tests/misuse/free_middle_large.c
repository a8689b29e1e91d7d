/* A pointer 4096 bytes into a large block is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(100000));
    free(misused(a + 4096));
    return 0;
}
