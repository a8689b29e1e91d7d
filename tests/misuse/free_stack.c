/* The address of a local variable is freed. */
#include "misuse.h"

int main(void) {
    _Alignas(16) char local[64] = {0};
    free(misused(local));
    return 0;
}
