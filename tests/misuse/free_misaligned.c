/* An odd address in memory that is mapped, but not by any allocator, is freed. */
#include <sys/mman.h>

#include "misuse.h"

int main(void) {
    char *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(misused(map + 4099));
    return 0;
}
