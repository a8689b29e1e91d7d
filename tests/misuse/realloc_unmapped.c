/* realloc of an address where nothing is mapped. */
#include "misuse.h"

int main(void) {
    return realloc(misused((const void *)0x10000), 100) != NULL;
}
