/* A block is written to after its free, and the process ends before its memory is used again. */
#include "misuse.h"

int main(void) {
    char *a = misused(malloc(60));
    free(hide(a));
    a[30] = 1;
    return 0;
}
