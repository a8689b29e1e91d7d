/* A small object is freed by one thread that ends, and then by another. */
#include <pthread.h>

#include "misuse.h"

static void *free_block(void *arg) {
    free(arg);
    return NULL;
}

int main(void) {
    /* A live neighbour keeps the page of the object in use. */
    void *neighbour = hide(malloc(64));
    void *a = hide(malloc(64));
    pthread_t thread;
    if (neighbour == NULL || pthread_create(&thread, NULL, free_block, a) != 0) {
        return 2;
    }
    pthread_join(thread, NULL);
    free(misused(a));
    malloc_trim(0);
    return 0;
}
