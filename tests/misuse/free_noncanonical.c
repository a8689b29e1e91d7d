/* A value that is no address at all, as garbage in a pointer is, is freed. */
#include "misuse.h"

int main(void) {
    free(misused((const void *)0xdeadbeefdeadbee0));
    return 0;
}
