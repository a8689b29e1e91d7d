/* The address of a function is freed. */
#include "misuse.h"

int main(void) {
    free(misused((const void *)main));
    return 0;
}
