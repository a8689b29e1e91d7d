/* The bump allocator for metadata. See persistent.h and README.md. */
#include "persistent.h"

#include "base.h"
#include "lock.h"
#include "os.h"

/* Untouched chunk memory costs nothing, so a chunk is large; a request above a quarter of it goes
 * to the system so that the rest of a chunk is not lost to it. */
#define CHUNK (256 * KIB)
#define LARGE (64 * KIB)

static struct lock lock = LOCK_INIT;
static char *next;
static char *end;
static size_t handed_out;

static bool refill(void) {
    char *chunk = os_map(CHUNK);
    if (chunk == NULL) {
        return false;
    }
    next = chunk;
    end = chunk + CHUNK;
    return true;
}

static void *bump(size_t size, size_t align) {
    size_t room = (size_t)(end - next);
    size_t skip = align_up((uintptr_t)next, align) - (uintptr_t)next;
    if (next == NULL || skip + size > room) {
        if (!refill()) {
            return NULL;
        }
        skip = 0; /* a chunk is aligned to a system page */
    }
    char *result = next + skip;
    next = result + size; /* one store: a fork never sees it half done */
    return result;
}

void *persistent_alloc(size_t size, size_t align) {
    if (size > LARGE) {
        void *memory = os_map(align_up(size, os_page_size()));
        if (memory != NULL) {
            lock_acquire(&lock);
            handed_out += size;
            lock_release(&lock);
        }
        return memory;
    }
    lock_acquire(&lock);
    void *memory = bump(size, align);
    handed_out += memory != NULL ? size : 0;
    lock_release(&lock);
    return memory;
}

size_t persistent_bytes(void) {
    lock_acquire(&lock);
    size_t bytes = handed_out;
    lock_release(&lock);
    return bytes;
}

/* refill stores next before end; a fork in between would pair the new chunk with the old end, so
 * whatever was held up is thrown away with the rest of its chunk. */
void persistent_reset_in_child(void) {
    if (lock_reset_in_child(&lock)) {
        next = NULL;
        end = NULL;
    }
}
