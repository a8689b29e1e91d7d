/* A pooled stack is given to realloc. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    return hide(realloc(misused(stack_alloc(4096, 0).low), 8192)) == NULL;
}
