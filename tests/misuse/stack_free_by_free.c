/* A pooled stack is given to free. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    free(misused(stack_alloc(4096, 0).low));
    return 0;
}
