/*
 * A library with a worker thread of its own, which its fork handler starts again in the child,
 * before goalloc's handler has run: the library registered its first. Both threads of the child
 * allocate at once, while the parent's worker was anywhere in the heap when it forked.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "life.h"

#define CHILDREN 30
#define ROUNDS 5
#define BLOCKS 2000

void worker_start(void);
void worker_join(void);

static void work_beside_the_worker(void) {
    static void *blocks[BLOCKS];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = life_block(8 + i * 7 % 5000);
        }
        for (size_t i = 0; i < BLOCKS; i++) {
            life_check_block(blocks[i], 8 + i * 7 % 5000);
            free(blocks[i]);
        }
    }
}

int main(void) {
    life_require_goalloc();
    worker_start();
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            life_enter_child();
            work_beside_the_worker();
            worker_join();
            _exit(0);
        }
        life_wait(child);
    }
    _exit(0);
}
