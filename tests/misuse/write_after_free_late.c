/* A block is written to long after its free, when 4 MB of others have been freed since, and the
 * process ends before its memory is used again. */
#include "misuse.h"

enum { BLOCKS = 1000 };

int main(void) {
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(4000);
    }
    char *a = misused(malloc(60)), *neighbour = malloc(60);
    free(hide(a));
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    a[30] = 1;
    return neighbour == NULL;
}
