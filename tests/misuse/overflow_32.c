/* 32 bytes are written past the end of a block. */
#include "misuse.h"

int main(void) {
    char *a = misused(malloc(SIZE));
    hide(malloc(SIZE)); /* in the default mode it takes the damage */
    for (int i = 0; i < 32; i++) {
        a[SIZE + i] = 1;
        hide(a);
    }
    free(hide(a));
    return 0;
}
