/*
 * The program whose calls are counted: it brings the heap to the warm state (a magazine that is
 * neither empty nor full), marks, and makes one call. It is linked with the library under test, as
 * a position-independent program bound at start, so that the address of malloc is that of the
 * library's own code.
 */
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "marker.h"

#define WARM_BLOCKS 6
#define LARGEST_SMALL 32768

/* The sizes that have lines of their own in expected.txt; golden.py lists them too. */
static const size_t named_sizes[] = {8, 64, 1000, LARGEST_SMALL};

static void *check(void *block) {
    if (!block) {
        abort();
    }
    return block;
}

static void *allocate_in_thread(void *size) {
    return malloc(*(size_t *)size);
}

static void *block_of_ended_thread(size_t size) {
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, allocate_in_thread, &size) != 0) {
        abort();
    }
    if (pthread_join(thread, &block) != 0) {
        abort();
    }
    return check(block);
}

static void *marked_malloc(size_t size, size_t usable) {
    mark(CALL_MALLOC, (const void *)malloc, size, usable);
    return check(malloc(size));
}

static void marked_free(enum marker_call call, void *block, size_t size, size_t usable) {
    mark(call, (const void *)free, size, usable);
    free(block);
}

static void marked_usable_size(void *block, size_t size, size_t usable) {
    mark(CALL_USABLE_SIZE, (const void *)malloc_usable_size, size, usable);
    if (malloc_usable_size(block) != usable) {
        abort();
    }
}

/* The block stays as it is. */
static void *marked_realloc(void *block, size_t size, size_t usable) {
    mark(CALL_REALLOC, (const void *)realloc, size, usable);
    return check(realloc(block, usable));
}

/*
 * A free leaves at least one block in the magazine and a malloc leaves room for at least one, so
 * that calls which take turns are warm whatever the capacity. No block is freed right after itself:
 * the test for a repeated free is part of the path.
 */
static size_t measure(size_t size) {
    void *other = block_of_ended_thread(size);
    void *block[WARM_BLOCKS];
    for (size_t i = 0; i < WARM_BLOCKS; i++) {
        block[i] = check(malloc(size));
    }
    size_t usable = malloc_usable_size(block[0]);
    for (size_t i = 0; i < WARM_BLOCKS / 2; i++) {
        free(block[i]);
    }

    block[0] = marked_malloc(size, usable);
    marked_free(CALL_FREE, block[3], size, usable);
    block[1] = check(malloc(size));
    marked_free(CALL_FREE_OTHER, other, size, usable);
    marked_usable_size(block[4], size, usable);
    block[4] = marked_realloc(block[4], size, usable);

    free(block[0]);
    free(block[1]);
    free(block[4]);
    free(block[5]);
    return usable;
}

int main(void) {
    for (size_t i = 0; i < sizeof(named_sizes) / sizeof(named_sizes[0]); i++) {
        measure(named_sizes[i]);
    }
    /* One request for each class: the smallest that the class before it cannot hold. */
    for (size_t size = 8; size <= LARGEST_SMALL;) {
        size = measure(size) + 1;
    }
    return 0;
}
