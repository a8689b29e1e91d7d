/* A string literal is freed. */
#include "misuse.h"

int main(void) {
    free(misused("a string literal"));
    return 0;
}
