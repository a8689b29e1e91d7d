/* The start of a page is freed, in which a large block begins some cache lines later. */
#include "misuse.h"

#include <stdint.h>

enum { BLOCKS = 100 };

int main(void) {
    char *a = NULL;
    for (int i = 0; i < BLOCKS && (uintptr_t)a % 4096 == 0; i++) {
        a = hide(malloc(1000000));
    }
    char *below = misused(a - (uintptr_t)a % 4096);
    if (below != a) { /* in checked mode 1 they all begin at a page */
        free(below);
    }
    return 0;
}
