/* malloc_usable_size of an address where nothing is mapped. */
#include "misuse.h"

int main(void) {
    return malloc_usable_size(misused((const void *)0x10000)) > 0;
}
