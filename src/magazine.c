/* Memory for magazines. See magazine.h and README.md. */
#include "magazine.h"

#include "fixalloc.h"

static struct fixalloc pool = FIXALLOC_INIT(MAGAZINE_BYTES, MAGAZINE_BYTES);

struct magazine *magazine_create(void) {
    struct magazine *magazine = fixalloc_alloc(&pool);
    if (magazine != NULL) {
        magazine->count = 0;
        magazine->capacity = 0;
    }
    return magazine;
}

void magazine_destroy(struct magazine *magazine) {
    fixalloc_free(&pool, magazine);
}

void magazine_reset_in_child(void) {
    fixalloc_reset_in_child(&pool);
}
