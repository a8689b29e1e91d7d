/* An address where nothing is mapped is freed. */
#include "misuse.h"

int main(void) {
    free(misused((const void *)0x10000));
    return 0;
}
