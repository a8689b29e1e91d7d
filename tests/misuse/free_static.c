/* The address of initialised static data is freed. */
#include "misuse.h"

static _Alignas(16) char data[64] = "static data";

int main(void) {
    free(misused(data));
    return 0;
}
