/*
 * Each system call of a short program fails once: the first of them in the first run, the second in
 * the next, until a run ends without coming that far. The program starts the heap, touches every
 * module, and takes stock of all its blocks at the end. Each run is a process of its own.
 *
 *     each
 */
#include "faults.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc.h"
#include "os.h"
#include "scavenge.h"
#include "sizeclass.h"
#include "support.h"

enum { BLOCKS = 400, SECONDS = 20, THREADS = 3 };

static struct block blocks[BLOCKS];
static unsigned count;

static struct block *keep(struct block block) {
    CHECK(count < BLOCKS);
    blocks[count] = block;
    return &blocks[count++];
}

static void use_small(void) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        keep(block_new(class_to_size[class], class));
        keep(block_zeroed(class_to_size[class], class + 1));
        block_free(keep(block_new(class_to_size[class], class + 2)));
    }
}

static void use_aligned(void) {
    for (size_t align = 8; align <= (size_t)4 << 20; align *= 4) {
        keep(block_aligned(align, 100, (unsigned)align));
    }
}

/* What is allocated behind a block makes it move when it grows. */
static void use_large(void) {
    struct block *first = keep(block_new((size_t)1 << 20, 7));
    struct block *second = keep(block_new(40000, 8));
    keep(block_new(100, 9));
    block_resize(first, (size_t)3 << 20);
    keep(block_new(40000, 10));
    block_resize(first, (size_t)6 << 20);
    block_resize(second, 200000);
    block_resize(second, 50000);
    block_free(first);
    keep(block_zeroed((size_t)5 << 20, 11));
    goalloc_trim((size_t)1 << 20);
    for (uint64_t later = 100000; later <= 400000;
         later += 100000) { /* two to begin, two periods */
        scavenge(os_milliseconds() + later);
    }
}

static void use_emergency(void) {
    struct block *deferred = keep(block_new(3000, 12));
    begin_interruption();
    keep(block_new(500, 13));
    keep(block_aligned(4096, 500, 14));
    block_free(deferred);
    end_interruption();
}

/* What another malloc allocated, in this program the C library's. */
static void use_foreign(void) {
    char *foreign = malloc(100);
    CHECK(foreign != NULL && goalloc_usable_size(foreign) >= 100);
    goalloc_free(foreign);
}

static pthread_barrier_t all_have_blocks;

static void *run(void *argument) {
    struct block own[60], *shared = argument;
    for (unsigned i = 0; i < COUNT_OF(own); i++) {
        own[i] = block_new((size_t)i * 17 % 900, i);
    }
    *shared = block_new(70000, 15);
    pthread_barrier_wait(&all_have_blocks);
    for (unsigned i = 0; i < COUNT_OF(own); i++) {
        block_free(&own[i]);
    }
    pthread_barrier_wait(&all_have_blocks);
    return NULL;
}

static void finish(void) {
    for (unsigned i = 0; i < count; i++) {
        block_free(&blocks[i]);
    }
}

static void fork_child(void (*check)(void)) {
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(SECONDS);
        keep(block_new(30, 16));
        keep(block_new(90000, 17));
        finish();
        faults_none();
        check();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* One fork while threads are there, which have caches and exchange blocks. */
static void use_threads(void) {
    pthread_t threads[THREADS];
    struct block shared[THREADS];
    CHECK(pthread_barrier_init(&all_have_blocks, NULL, THREADS + 1) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run, &shared[i]) == 0);
    }
    pthread_barrier_wait(&all_have_blocks);
    fork_child(check_heap_works);
    pthread_barrier_wait(&all_have_blocks);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        keep(shared[i]);
    }
}

static void work(void) {
    use_small();
    use_aligned();
    use_large();
    use_emergency();
    use_foreign();
    use_threads();
    fork_child(check_heap_is_whole);
    finish();
}

/* False: the program ended without making so many calls. */
static bool run_with_failure(unsigned long n) {
    int status;
    faults_nth(n);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(SECONDS);
        work();
        unsigned long injected = faults_injected();
        faults_none();
        check_heap_is_whole();
        _exit(injected > 0 ? 0 : 10);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 10)) {
        fprintf(stderr, "each: with call %lu failing, the program ended with status 0x%x\n", n,
                (unsigned)status);
        exit(1);
    }
    return WEXITSTATUS(status) == 0;
}

/* Memory comes back in the end, however often it was asked for in vain. */
static void run_without_memory(void) {
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        faults_random(1000);
        for (unsigned i = 0; i < 100; i++) {
            CHECK(block_new(100, 1).address == NULL);
            begin_interruption();
            CHECK(block_new(100, 1).address == NULL);
            end_interruption();
        }
        faults_none();
        check_heap_is_whole();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void) {
    unsigned long n = 1;
    faults_start();
    run_without_memory();
    while (run_with_failure(n)) {
        n++;
    }
    CHECK(n > 30);
    printf("each: %lu system calls, each failed once\n", n - 1);
    return 0;
}
