/* A guarded stack is freed by its high end, which is the next one's guard. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    stack_free(misused(stack_alloc(65536, 1).high));
    return 0;
}
