/* A small object is freed twice by a thread, whose end brings it to light. */
#include <pthread.h>

#include "misuse.h"

static void *free_twice(void *arg) {
    void *a = hide(malloc(64));
    void *b = hide(malloc(64));
    free(a);
    free(b);
    free(misused(a));
    return arg;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_twice, NULL) == 0) {
        pthread_join(thread, NULL);
    }
    return 0;
}
