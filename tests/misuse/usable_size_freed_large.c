/* malloc_usable_size of a large block that was freed. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(10000000));
    free(a);
    return malloc_usable_size(misused(a)) > 0;
}
