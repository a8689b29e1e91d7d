/*
 * Short threads that grow a buffer by realloc to 2 MiB, in small steps. An allocator that gives the
 * buffer's pages back with each thread, or takes each step from fresh pages, makes some thousand
 * system calls for each thread and faults all pages in again. What remains after subtracting what
 * the same threads take without a buffer must be next to nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pathology.h"

#define THREADS 200
#define STEP (8 * KIB)
#define LARGEST (2 * MIB)
#define PAGE (4 * KIB)
#define CALLS_ALLOWED (THREADS / 2)
#define FAULTS_ALLOWED (LARGEST / PAGE / 10 * THREADS)

static void do_nothing(size_t index) {
    (void)index;
}

static void grow_buffer(size_t index) {
    char *buffer = NULL;
    (void)index;
    for (size_t size = STEP; size <= LARGEST; size += STEP) {
        buffer = realloc(buffer, size);
        CHECK(buffer != NULL, "realloc failed");
        buffer[size - STEP] = 1;
        buffer[size - 1] = (char)size;
    }
    CHECK(buffer[LARGEST - STEP - 1] == (char)(LARGEST - STEP), "the buffer changed");
    free(buffer);
}

static void run_one_by_one(size_t count, void (*body)(size_t index)) {
    for (size_t i = 0; i < count; i++) {
        run_threads(1, body);
    }
}

static void warm_up(void) {
    avoid_huge_pages();
    run_one_by_one(3, grow_buffer);
}

static void run_growing(void) {
    run_one_by_one(THREADS, grow_buffer);
}

static void run_idle(void) {
    run_one_by_one(THREADS, do_nothing);
}

int main(void) {
    life_require_goalloc();
    size_t calls = mapping_calls(warm_up, run_growing);
    size_t idle_calls = mapping_calls(warm_up, run_idle);
    warm_up();
    size_t faults = page_faults();
    run_growing();
    faults = page_faults() - faults;
    printf("%d threads: %zu system calls, %zu without a buffer, %zu page faults\n", THREADS, calls,
           idle_calls, faults);
    fflush(stdout);
    CHECK(calls <= idle_calls + CALLS_ALLOWED, "%zu system calls", calls - idle_calls);
    CHECK(faults <= FAULTS_ALLOWED, "%zu page faults", faults);
    return 0;
}
