/*
 * A main thread that leaves by pthread_exit, with the option BACKGROUND: the process ends with the
 * program's last thread, although goalloc's own is there, and runs its exit handlers.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "life.h"

enum { BLOCKS = 1000, BLOCK_BYTES = 16 * KIB, THREADS = 3, WAIT_MS = 100 };

static int count_threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL, "no /proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        count += task->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

/* The main thread, which counts until the last one has ended, this one and goalloc's. */
static void *outlive_main(void *arg) {
    usleep(WAIT_MS * 1000);
    int threads = count_threads();
    CHECK(threads == THREADS, "%d threads, not %d", threads, THREADS);
    return arg;
}

static void at_exit(void) {
    puts("the exit handlers ran");
}

int main(void) {
    static void *block[BLOCKS];
    pthread_t thread;
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = life_block(BLOCK_BYTES);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(block[i]);
    }
    CHECK(atexit(at_exit) == 0, "atexit");
    CHECK(pthread_create(&thread, NULL, outlive_main, NULL) == 0, "pthread_create");
    pthread_exit(NULL);
}
