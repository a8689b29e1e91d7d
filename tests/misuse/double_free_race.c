/* Two threads free a block at the same time: one of them is told. */
#include "misuse.h"

#include <pthread.h>

static pthread_barrier_t barrier;

static void *free_it(void *a) {
    pthread_barrier_wait(&barrier);
    free(a);
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    void *a = misused(malloc(SIZE));
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, free_it, a);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
