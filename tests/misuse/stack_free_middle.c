/* A pooled stack is freed by an address in it, such as its stack pointer. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    char *low = stack_alloc(4096, 0).low;
    stack_free(misused(low + 2048));
    return 0;
}
