/* A block is read after its free. */
#include "misuse.h"

int main(void) {
    char *a = misused(malloc(SIZE));
    free(hide(a));
    char byte = a[SIZE / 2];
    hide(&byte);
    return 0;
}
