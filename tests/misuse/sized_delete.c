/* C++'s sized operator delete gets the size of another type. */
#include "misuse.h"

/* As C knows it; the preloaded library has it. */
void sized_delete(void *ptr, size_t size) __asm__("_ZdlPvm") __attribute__((weak));

int main(void) {
    void *a = misused(malloc(SIZE));
    sized_delete(hide(a), (size_t)3 * SIZE);
    return 0;
}
