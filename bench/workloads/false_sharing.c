/*
 * Small objects that different threads write to. In mode "active" each thread allocates its own;
 * in mode "passive" one thread hands out neighbouring objects, which the others free and allocate
 * again before they write. Punishes an allocator that gives objects of one cache line to several
 * threads, at once or by way of a free.
 */
#include "bench.h"

enum { OBJECTS = 400000, WRITES = 1000, SIZE = 8 };

/* What one thread was given, apart from the others by more than a cache line. */
struct gift {
    void *object;
    char padding[120];
};

static void write_often(volatile unsigned char *bytes) {
    memset((void *)(uintptr_t)bytes, 0, SIZE);
    for (unsigned i = 0; i < WRITES; i++) {
        bytes[i % SIZE]++;
    }
    CHECK(bytes[0] == (unsigned char)(WRITES / SIZE));
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct gift *gifts = worker->shared;
    size_t n = 4 * scaled(worker->bench, OBJECTS) / worker->bench->threads;
    if (gifts != NULL) {
        free(gifts[worker->index].object);
    }
    for (size_t i = 0; i <= n; i++) {
        unsigned char *object = need(malloc(SIZE));
        write_often(object);
        free(object);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct bench bench = bench_arguments(argc, argv, (struct bench){.mode = "active"});
    struct gift *gifts = NULL;
    require(mode_is(&bench, "active") || mode_is(&bench, "passive"), "use this --mode");
    if (mode_is(&bench, "passive")) {
        gifts = table_make(bench.threads, sizeof *gifts);
        for (unsigned i = 0; i < bench.threads; i++) {
            gifts[i].object = need(malloc(SIZE));
        }
    }
    run_workers(&bench, run, gifts);
    return 0;
}
