/* An address in memory that is mapped, but that nobody may read, is freed. */
#include <sys/mman.h>

#include "misuse.h"

int main(void) {
    char *map = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(misused(map + 4096));
    return 0;
}
