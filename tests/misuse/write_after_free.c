/* A block is written to after its free; then many of its size are used. */
#include "misuse.h"

int main(void) {
    char *a = misused(malloc(SIZE));
    free(hide(a));
    a[SIZE / 2] = 1;
    for (int i = 0; i < 30000; i++) {
        free(hide(malloc(SIZE)));
    }
    return 0;
}
