/* A stack that is free is retired. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    void *low = stack_alloc(4096, 0).low;
    stack_free(low);
    stack_retire(misused(low));
    return 0;
}
