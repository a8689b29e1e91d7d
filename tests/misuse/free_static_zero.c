/* The address of static data that begins as zero is freed: memory without a name in the maps. */
#include "misuse.h"

enum { FAR = 1 << 20 };

static _Alignas(16) char data[2 * FAR];

int main(void) {
    free(misused(data + FAR));
    return 0;
}
