/* A pooled stack is freed again after another one; when the cache is emptied it comes to light. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    void *a = stack_alloc(4096, 0).low, *b = stack_alloc(4096, 0).low;
    stack_free(a);
    stack_free(b);
    stack_free(misused(a));
    stack_flush();
    return 0;
}
