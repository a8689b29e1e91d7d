/*
 * What every workload shares: arguments, random numbers, clocks, memory figures, threads, and the
 * check of contents. All of it is inline, and none of it allocates from the heap that is measured:
 * tables are mappings, files are read with system calls.
 *
 * A workload does a fixed amount of work for a given --scale, --seed and --threads. It prints
 * "metric NAME VALUE UNIT" lines and nothing else, and ends with 0, 2 (wrong arguments, or the
 * system or the allocator has no memory) or 3 (contents were wrong).
 */
#ifndef BENCH_H
#define BENCH_H

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_UNABLE = 2, EXIT_WRONG = 3, OS_PAGE = 4096 };

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* ---- failure ---- */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            fprintf(stderr, "%s:%d: wrong contents: %s\n", __FILE__, __LINE__, #condition);        \
            _exit(EXIT_WRONG);                                                                     \
        }                                                                                          \
    } while (0)

static inline void require(bool done, const char *what) {
    if (__builtin_expect(!done, 0)) {
        fprintf(stderr, "bench: cannot: %s\n", what);
        _exit(EXIT_UNABLE);
    }
}

/* ---- arguments ---- */

struct bench {
    double scale;     /* factor on the number of operations */
    unsigned threads; /* 0 in a workload's defaults: 2 x cores, at least 4 */
    uint64_t seed;
    size_t live;      /* bytes of the live set */
    size_t size;      /* bytes of an object */
    const char *mode; /* a variant of the workload */
};

static inline size_t parse_bytes(const char *text) {
    char *end;
    double value = strtod(text, &end);
    size_t unit = *end == 'k' ? KIB : *end == 'm' ? MIB : *end == 'g' ? GIB : 1;
    require(end != text && value >= 0 && strlen(end) <= 1, "read a number of bytes");
    return (size_t)(value * (double)unit);
}

static inline void parse_option(struct bench *bench, const char *name, const char *value) {
    if (strcmp(name, "--scale") == 0) {
        bench->scale = strtod(value, NULL);
    } else if (strcmp(name, "--threads") == 0) {
        bench->threads = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--seed") == 0) {
        bench->seed = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--live") == 0) {
        bench->live = parse_bytes(value);
    } else if (strcmp(name, "--size") == 0) {
        bench->size = parse_bytes(value);
    } else if (strcmp(name, "--mode") == 0) {
        bench->mode = value;
    } else {
        require(false, "understand an option: --scale --threads --seed --live --size --mode");
    }
}

static inline struct bench bench_arguments(int argc, char **argv, struct bench bench) {
    bench.scale = 1;
    bench.seed = 1;
    require(argc % 2 == 1, "find a value for each option");
    for (int i = 1; i + 1 < argc; i += 2) {
        parse_option(&bench, argv[i], argv[i + 1]);
    }
    if (bench.threads == 0) {
        unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
        bench.threads = cores < 2 ? 4 : 2 * cores;
    }
    require(bench.scale > 0, "work at a scale of 0");
    return bench;
}

/* n operations at scale 1, and at least 1. */
static inline size_t scaled(const struct bench *bench, size_t n) {
    size_t count = (size_t)((double)n * bench->scale);
    return count > 0 ? count : 1;
}

static inline bool mode_is(const struct bench *bench, const char *mode) {
    return strcmp(bench->mode, mode) == 0;
}

/* ---- results ---- */

static inline void metric(const char *name, double value, const char *unit) {
    printf("metric %s %.10g %s\n", name, value, unit);
}

/* ---- random numbers: xorshift64* ---- */

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng) {
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return rng->state * UINT64_C(0x2545F4914F6CDD1D);
}

/* Streams of different numbers are independent. */
static inline struct rng rng_make(uint64_t seed, uint64_t stream) {
    struct rng rng = {(seed * 1000003 + stream + 1) * UINT64_C(0x9E3779B97F4A7C15)};
    rng_next(&rng);
    return rng;
}

/* 0 <= result < n, and n < 2^32. */
static inline size_t rng_below(struct rng *rng, size_t n) {
    return (size_t)((rng_next(rng) >> 32) * n >> 32);
}

/* least <= result <= most */
static inline size_t rng_between(struct rng *rng, size_t least, size_t most) {
    return least + rng_below(rng, most - least + 1);
}

/* Each power of two equally likely: small ones often, large ones now and then. */
static inline size_t rng_log_between(struct rng *rng, size_t least, size_t most) {
    unsigned low = 63 - (unsigned)__builtin_clzll(least);
    unsigned high = 63 - (unsigned)__builtin_clzll(most);
    size_t base = (size_t)1 << rng_between(rng, low, high);
    size_t size = base + rng_below(rng, base);
    return size < least ? least : size > most ? most : size;
}

/* What programs ask for: 70 % at most 64 bytes, a tail to 8 KiB; 190 bytes on average. */
static inline size_t rng_program_size(struct rng *rng) {
    size_t pick = rng_below(rng, 100);
    if (pick < 70) {
        return rng_between(rng, 8, 64);
    }
    if (pick < 90) {
        return rng_between(rng, 65, 256);
    }
    return pick < 98 ? rng_between(rng, 257, 1024) : rng_between(rng, 1025, 8192);
}

static inline void shuffle(struct rng *rng, void **table, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(rng, i);
        void *other = table[j];
        table[j] = table[i - 1];
        table[i - 1] = other;
    }
}

/* ---- clocks ---- */

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void sleep_ns(long ns) {
    struct timespec time = {ns / 1000000000, ns % 1000000000};
    nanosleep(&time, NULL);
}

/* ---- memory figures ---- */

static inline size_t read_file(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

/* Quick, but off by up to 64 pages for each thread. */
static inline size_t rss_now(void) {
    char text[128];
    require(read_file("/proc/self/statm", text, sizeof text) > 0, "read /proc/self/statm");
    char *second = strchr(text, ' ');
    return second == NULL ? 0 : strtoull(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Exact; walks the page tables, some 10 ms for each GiB. */
static inline size_t rss_exact(void) {
    char text[1024];
    size_t n = read_file("/proc/self/smaps_rollup", text, sizeof text);
    char *rss = n == 0 ? NULL : strstr(text, "\nRss:");
    return rss == NULL ? rss_now() : strtoull(rss + 5, NULL, 10) * KIB;
}

/* A table of n zeroed entries, outside of the heap, touched: it adds to no later figure. */
static inline void *table_make(size_t n, size_t entry) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    void *table = mmap(NULL, n * entry, PROT_READ | PROT_WRITE, flags, -1, 0);
    require(table != MAP_FAILED, "map a table");
    return table;
}

/* ---- blocks ---- */

static inline void *need(void *block) {
    require(block != NULL, "allocate");
    return block;
}

/* The first and the last byte and one of each page between; size > 0. */
static inline void touch(void *block, size_t size, unsigned char value) {
    volatile unsigned char *bytes = block;
    for (size_t i = 0; i < size; i += OS_PAGE) {
        bytes[i] = value;
    }
    bytes[size - 1] = value;
}

static inline void check_touched(const void *block, size_t size, unsigned char value) {
    const volatile unsigned char *bytes = block;
    for (size_t i = 0; i < size; i += OS_PAGE) {
        CHECK(bytes[i] == value);
    }
    CHECK(bytes[size - 1] == value);
}

/* ---- threads ---- */

struct worker {
    const struct bench *bench;
    void *shared;
    unsigned index;
    struct rng rng;
    pthread_t id;
};

static inline void worker_start(struct worker *worker, void *(*run)(void *)) {
    require(pthread_create(&worker->id, NULL, run, worker) == 0, "start a thread");
}

/* Runs bench->threads workers to their end; each gets its own random numbers. */
static inline void run_workers(const struct bench *bench, void *(*run)(void *), void *shared) {
    struct worker *workers = table_make(bench->threads, sizeof *workers);
    for (unsigned i = 0; i < bench->threads; i++) {
        workers[i] = (struct worker){bench, shared, i, rng_make(bench->seed, i), 0};
        worker_start(&workers[i], run);
    }
    for (unsigned i = 0; i < bench->threads; i++) {
        pthread_join(workers[i].id, NULL);
    }
    munmap(workers, bench->threads * sizeof *workers);
}

#endif
