/* realloc of a pointer into the middle of a large block. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(100000));
    return realloc(misused(a + 4096), 1000000) != NULL;
}
