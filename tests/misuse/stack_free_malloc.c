/* A block of malloc is freed as a stack. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    stack_free(misused(malloc(4096)));
    return 0;
}
