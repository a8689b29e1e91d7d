/*
 * Six threads hand one another buffers of 20 to 320 KiB: requests and answers of a server, images on
 * their way from stage to stage. Some 8 MiB are in use at once. An allocator that keeps a number of
 * freed buffers of each size for the next one takes ten times as much.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define THREADS 6
#define BOXES 48
#define STEPS 300000
#define MOST (38 * MIB)

static struct box {
    pthread_mutex_t mutex;
    void *buffer;
    size_t size;
} boxes[BOXES];

static void exchange(struct box *box, void **buffer, size_t *size) {
    struct box before = {.buffer = *buffer, .size = *size};
    pthread_mutex_lock(&box->mutex);
    *buffer = box->buffer;
    *size = box->size;
    box->buffer = before.buffer;
    box->size = before.size;
    pthread_mutex_unlock(&box->mutex);
}

static void work(size_t index) {
    uint64_t seed = index + 1;
    for (int i = 0; i < STEPS; i++) {
        size_t size = 20 * KIB + random_below(&seed, 300 * KIB);
        void *buffer = touched(size);
        exchange(&boxes[random_below(&seed, BOXES)], &buffer, &size);
        if (buffer != NULL) {
            free_touched(buffer, size);
        }
    }
}

int main(void) {
    life_require_goalloc();
    avoid_huge_pages();
    for (size_t i = 0; i < BOXES; i++) {
        pthread_mutex_init(&boxes[i].mutex, NULL);
    }
    size_t before = life_resident(), live = 0;
    run_threads(THREADS, work);
    for (size_t i = 0; i < BOXES; i++) {
        live += boxes[i].size;
    }
    size_t grown = peak_resident() - before;
    printf("%zu KiB at the peak, with %zu KiB live\n", grown / KIB, live / KIB);
    fflush(stdout);
    CHECK(grown <= MOST, "%zu KiB resident for %zu KiB", grown / KIB, live / KIB);
    return 0;
}
