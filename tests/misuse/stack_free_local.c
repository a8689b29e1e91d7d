/* The thread's own stack is freed as a pooled one. */
#include "misuse.h"
#include "misuse_stack.h"

int main(void) {
    char here[64];
    stack_free(misused(here));
    return 0;
}
