/*
 * Helpers of the pathology tests; see pathology.h. Nothing here allocates, so that it can be called
 * in the middle of a measurement.
 */
#include "pathology.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77
#define MOST_THREADS 64

void skip(const char *reason) {
    dprintf(STDOUT_FILENO, "skipped: %s\n", reason);
    _exit(SKIPPED);
}

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sleep_ms(unsigned ms) {
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

size_t random_below(uint64_t *seed, size_t n) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((*seed >> 33) % n);
}

size_t random_size(uint64_t *seed, size_t smallest, size_t largest) {
    double part = (double)random_below(seed, 1u << 30) / (1u << 30);
    return (size_t)((double)smallest * pow((double)largest / (double)smallest, part));
}

void shuffle(void **items, size_t count, uint64_t *seed) {
    for (size_t i = count; i > 1; i--) {
        size_t other = random_below(seed, i);
        void *item = items[i - 1];
        items[i - 1] = items[other];
        items[other] = item;
    }
}

static char mark(size_t size) {
    return (char)(size * 37 % 251 + 1);
}

void *touched(size_t size) {
    char *block = life_keep(malloc(size));
    CHECK(block != NULL, "malloc(%zu) failed: %s", size, strerror(errno));
    for (size_t i = 0; i < size; i += 4 * KIB) {
        block[i] = mark(size);
    }
    block[size - 1] = mark(size);
    return block;
}

void free_touched(void *block, size_t size) {
    const char *bytes = block;
    CHECK(bytes[0] == mark(size) && bytes[size - 1] == mark(size), "the block of %zu at %p changed",
          size, block);
    free(block);
}

struct sized *sized_make(uint32_t size) {
    struct sized *block = malloc(size);
    CHECK(block != NULL, "no memory");
    memset(block, (unsigned char)size, size);
    *block = (struct sized){size, ~size};
    return block;
}

void sized_drop(struct sized *block) {
    if (block != NULL) {
        uint32_t size = block->size;
        CHECK(block->inverted == ~size &&
                  (size == sizeof *block ||
                   ((unsigned char *)block)[size - 1] == (unsigned char)size),
              "an object of %u bytes changed", size);
        free(block);
    }
}

static struct rusage usage(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage: %s", strerror(errno));
    return usage;
}

size_t page_faults(void) {
    struct rusage so_far = usage();
    return (size_t)(so_far.ru_minflt + so_far.ru_majflt);
}

size_t peak_resident(void) {
    return (size_t)usage().ru_maxrss * KIB;
}

size_t mappings(void) {
    static char text[64 * KIB];
    size_t lines = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0, "cannot open /proc/self/maps");
    while ((got = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            lines += text[i] == '\n';
        }
    }
    close(fd);
    return lines;
}

size_t rollup(const char *field) {
    char text[4 * KIB] = {0};
    char start[40];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "cannot read smaps_rollup");
    close(fd);
    int length = snprintf(start, sizeof(start), "\n%s:", field);
    char *line = strstr(text, start);
    CHECK(line != NULL, "no %s in smaps_rollup", field);
    return (size_t)strtoull(line + length, NULL, 10) * KIB;
}

void use_one_processor(void) {
    cpu_set_t allowed;
    CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "no affinity");
    int first = 0;
    while (!CPU_ISSET(first, &allowed)) {
        first++;
    }
    CPU_ZERO(&allowed);
    CPU_SET(first, &allowed);
    CHECK(sched_setaffinity(0, sizeof(allowed), &allowed) == 0, "cannot choose a processor");
}

void avoid_huge_pages(void) {
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

struct thread {
    pthread_t id;
    size_t index;
    void (*body)(size_t index);
};

static void *run_body(void *argument) {
    const struct thread *thread = argument;
    thread->body(thread->index);
    return NULL;
}

void run_threads(size_t count, void (*body)(size_t index)) {
    struct thread threads[MOST_THREADS];
    CHECK(count <= MOST_THREADS, "too many threads");
    for (size_t i = 0; i < count; i++) {
        threads[i].index = i;
        threads[i].body = body;
        int error = pthread_create(&threads[i].id, NULL, run_body, &threads[i]);
        CHECK(error == 0, "thread %zu: %s", i, strerror(error));
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(threads[i].id, NULL) == 0, "cannot join");
    }
}
