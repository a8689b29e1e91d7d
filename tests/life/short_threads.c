/*
 * Many short-lived threads. What a thread's cache holds must come back when the thread ends, or
 * the process grows with every thread. Blocks outlive their thread and are freed by the next. With
 * the argument "clearenv" the program has no environment any more.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

#define THREADS 20000
#define WARM_UP 2000
#define AT_ONCE 4
#define LEGACY 16
#define ALLOWED_GROWTH (2 * MIB)

struct legacy {
    void *blocks[LEGACY];
    size_t sizes[LEGACY];
};

static void *short_life(void *arg) {
    static const size_t sizes[] = {8, 24, 48, 100, 250, 700, 2000, 6000, 20000, 40000};
    struct legacy *legacy = arg;
    void *own[30 * COUNT_OF(sizes)];
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        own[i] = malloc(sizes[i % (i % 8 == 0 ? COUNT_OF(sizes) : 5)]);
        CHECK(own[i] != NULL, "malloc failed");
        *(char *)own[i] = 1;
    }
    for (size_t i = 0; i < LEGACY; i++) {
        if (legacy->blocks[i] != NULL) {
            life_check_block(legacy->blocks[i], legacy->sizes[i]);
            free(legacy->blocks[i]);
        }
        legacy->sizes[i] = sizes[i % 7];
        legacy->blocks[i] = life_block(legacy->sizes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        free(own[i]);
    }
    return NULL;
}

static void run_threads(size_t count, struct legacy *legacies) {
    pthread_t threads[AT_ONCE];
    for (size_t done = 0; done < count; done += AT_ONCE) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            CHECK(pthread_create(&threads[i], NULL, short_life, &legacies[i]) == 0, "no thread");
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0, "cannot join");
        }
    }
}

int main(int argc, char **argv) {
    life_require_goalloc();
    if (argc > 1 && strcmp(argv[1], "clearenv") == 0) {
        clearenv();
    }
    static struct legacy legacies[AT_ONCE];
    run_threads(WARM_UP, legacies);
    size_t early = life_resident();
    run_threads(THREADS - WARM_UP, legacies);
    size_t late = life_resident();
    CHECK(late <= early + ALLOWED_GROWTH, "resident %zu KiB after %d threads, %zu KiB after %d",
          early / KIB, WARM_UP, late / KIB, THREADS);
    return 0;
}
