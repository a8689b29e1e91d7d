/*
 * A library to be preloaded beside goalloc that wraps clock_gettime and gets ready by pthread_once,
 * for which it allocates much, as libfaketime does. If goalloc asked this for the time, the thread
 * would wait for itself.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCKS 20000

unsigned long interposer_calls(void);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int (*real)(clockid_t, struct timespec *);
static unsigned long calls;

unsigned long interposer_calls(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? calls : 0;
}

static void get_ready(void) {
    static void *blocks[BLOCKS];
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = memset(malloc(100), 1, 100);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
}

__attribute__((constructor)) static void begin(void) {
    pthread_once(&once, get_ready);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    pthread_once(&once, get_ready);
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    return real(clock, now);
}
