/* A block of 10 MB is freed twice in a row. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(10000000));
    free(a);
    free(misused(a));
    return 0;
}
