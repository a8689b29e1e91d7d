/* A pooled stack is freed twice in a row. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    void *low = stack_alloc(4096, 0).low;
    stack_free(low);
    stack_free(misused(low));
    return 0;
}
