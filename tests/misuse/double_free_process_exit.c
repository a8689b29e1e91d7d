/* A small object is freed twice, with others in between, and the process ends: nobody else will look
 * at what its last thread has cached. */
#include "misuse.h"

int main(void) {
    void *a = hide(malloc(64));
    void *b = hide(malloc(64));
    free(a);
    free(b);
    free(misused(a));
    return 0;
}
