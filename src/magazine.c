/* Memory for magazines. See magazine.h and README.md. */
#include "magazine.h"

#include "fixalloc.h"

/* In cache lines: one for each time that a capacity of 16 has doubled. */
#define POOL(lines) FIXALLOC_INIT((lines)*CACHE_LINE, CACHE_LINE)
static struct fixalloc pools[] = {POOL(3), POOL(5), POOL(9), POOL(16)};

enum { POOLS = sizeof pools / sizeof pools[0] };

static size_t bytes(unsigned capacity) {
    return sizeof(struct magazine) + (capacity + 2) * sizeof(void *);
}

static struct fixalloc *pool_for(unsigned capacity) {
    struct fixalloc *pool = pools;
    while (pool->size < bytes(capacity)) {
        pool++;
    }
    return pool;
}

struct magazine *magazine_create(unsigned capacity) {
    struct magazine *magazine = fixalloc_alloc(pool_for(capacity));
    if (magazine != NULL) {
        magazine->count = 0;
        magazine->capacity = capacity;
        memset(magazine->slot, 0xff, (capacity + 1) * sizeof(void *));
        magazine->slot[0] = magazine->slot[capacity + 1] = NULL;
    }
    return magazine;
}

void magazine_destroy(struct magazine *magazine) {
    fixalloc_free(pool_for(magazine->capacity), magazine);
}

void magazine_reset_in_child(void) {
    for (unsigned i = 0; i < POOLS; i++) {
        fixalloc_reset_in_child(&pools[i]);
    }
}
