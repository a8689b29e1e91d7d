/* A stack of a megabyte is freed twice. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    void *low = stack_alloc(1 << 20, 1).low;
    stack_free(low);
    stack_free(misused(low));
    return 0;
}
