/* One byte is written past the end of a block. */
#include "misuse.h"

int main(void) {
    char *a = misused(malloc(SIZE));
    a[SIZE] = 1;
    free(hide(a));
    return 0;
}
