/* realloc of a pointer into the middle of a small object. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(64));
    return realloc(misused(a + 16), 1000) != NULL;
}
