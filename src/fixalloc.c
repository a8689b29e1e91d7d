/* Free lists of fixed-size structs. See fixalloc.h and README.md. */
#include "fixalloc.h"

#include "base.h"
#include "persistent.h"

/* Chunks double: pools of few structs share pages, and pools of many rarely need another. */
#define CHUNK_LEAST KIB
#define CHUNK_MOST (16 * KIB)

static void *take_fresh(struct fixalloc *fixalloc) {
    if (fixalloc->next == fixalloc->end) {
        size_t wanted = min_size(max_size(2 * fixalloc->chunk, CHUNK_LEAST), CHUNK_MOST);
        size_t size = max_size(wanted / fixalloc->size, 1) * fixalloc->size;
        char *chunk = persistent_alloc(size, fixalloc->align);
        if (chunk == NULL) {
            return NULL;
        }
        fixalloc->chunk = size;
        fixalloc->end = chunk + size;
        fixalloc->next = chunk;
    }
    void *object = fixalloc->next;
    fixalloc->next += fixalloc->size;
    return object;
}

void *fixalloc_alloc(struct fixalloc *fixalloc) {
    lock_acquire(&fixalloc->lock);
    void *object = fixalloc->free;
    if (object != NULL) {
        fixalloc->free = *(void **)object;
    } else {
        object = take_fresh(fixalloc);
    }
    lock_release(&fixalloc->lock);
    return object;
}

void fixalloc_free(struct fixalloc *fixalloc, void *object) {
    lock_acquire(&fixalloc->lock);
    *(void **)object = fixalloc->free;
    fixalloc->free = object;
    lock_release(&fixalloc->lock);
}

void fixalloc_reset_in_child(struct fixalloc *fixalloc) {
    if (lock_reset_in_child(&fixalloc->lock)) {
        fixalloc->next = fixalloc->end; /* the pair may be of two chunks */
    }
}
