/* realloc of a pointer into the middle of a small object, to a size for which nothing moves. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(64));
    return realloc(misused(a + 16), 64) != NULL;
}
