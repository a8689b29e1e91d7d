/* A block is freed twice in a row. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(SIZE));
    free(a);
    free(misused(a));
    return 0;
}
