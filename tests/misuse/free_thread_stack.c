/* The address of a local variable is freed by a thread other than the first. */
#include <pthread.h>

#include "misuse.h"

static void *free_local(void *arg) {
    _Alignas(16) char local[64] = {0};
    free(misused(local));
    return arg;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_local, NULL) == 0) {
        pthread_join(thread, NULL);
    }
    return 0;
}
