/* malloc_usable_size of a pointer into the middle of a small object. */
#include "misuse.h"

int main(void) {
    char *a = hide(malloc(64));
    return malloc_usable_size(misused(a + 16)) > 0;
}
