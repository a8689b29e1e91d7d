/* realloc of a large block that was freed. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(10000000));
    free(a);
    return realloc(misused(a), 20000000) != NULL;
}
