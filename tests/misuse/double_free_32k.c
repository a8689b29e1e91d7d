/* An object of the largest size class is freed twice. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(32768));
    void *b = hide(malloc(32768));
    free(a);
    free(b);
    free(misused(a));
    malloc_trim(0);
    return 0;
}
