/* One byte is written before the start of a block. */
#include "misuse.h"

int main(void) {
    hide(malloc(SIZE)); /* in the default mode it takes the damage */
    char *a = misused(malloc(SIZE));
    a[-1] = 1;
    free(hide(a));
    return 0;
}
