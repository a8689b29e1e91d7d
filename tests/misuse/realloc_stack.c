/* realloc of a local variable. */
#include "misuse.h"

int main(void) {
    _Alignas(16) char local[64] = {0};
    return realloc(misused(local), 100) != NULL;
}
