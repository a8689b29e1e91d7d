/* A pointer some pages into a large block is freed. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(1000000));
    free(misused(a + 500000));
    return 0;
}
