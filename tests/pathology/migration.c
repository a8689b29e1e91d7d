/*
 * Threads that are moved from processor to processor while they allocate, interrupted by signals.
 * An allocator whose caches belong to processors does part of its work in sequences that the
 * kernel restarts at such moments, and needs another way where the kernel or the C library offers
 * none; one that registers or overwrites the area for them breaks the C library's use of it. Run
 * with and without that area (GLIBC_TUNABLES=glibc.pthread.rseq=0).
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pathology.h"

#define THREADS 4
#define LIVE 500
#define MOVES 3000

static atomic_bool stop;
static _Atomic size_t replaced;

static void ignore(int signal) {
    (void)signal;
}

static void *replace(void *argument) {
    void *blocks[LIVE] = {NULL};
    size_t sizes[LIVE];
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    while (!atomic_load(&stop)) {
        size_t i = random_below(&seed, LIVE);
        if (blocks[i] != NULL) {
            life_check_block(blocks[i], sizes[i]);
            free(blocks[i]);
        }
        sizes[i] = random_below(&seed, 600);
        blocks[i] = life_block(sizes[i]);
        atomic_fetch_add_explicit(&replaced, 1, memory_order_relaxed);
    }
    for (size_t i = 0; i < LIVE; i++) {
        free(blocks[i]);
    }
    return NULL;
}

static void move(pthread_t thread, int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    CHECK(pthread_setaffinity_np(thread, sizeof(one), &one) == 0, "cannot move a thread");
    CHECK(pthread_kill(thread, SIGUSR1) == 0, "cannot send a signal");
}

/* The C library's answer comes from the area that it shares with the kernel. */
static void check_own_processor(int processor) {
    unsigned actual;
    move(pthread_self(), processor);
    free(life_block(100));
    CHECK(syscall(SYS_getcpu, &actual, NULL, NULL) == 0, "getcpu failed");
    CHECK(sched_getcpu() == processor && (int)actual == processor,
          "on processor %d, the kernel says %u and the C library %d", processor, actual,
          sched_getcpu());
}

int main(void) {
    life_require_goalloc();
    cpu_set_t allowed;
    CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "no affinity");
    signal(SIGUSR1, ignore);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, replace, (void *)(i + 1)) == 0, "no thread");
    }
    for (int n = 0, processor = 0; n < MOVES; processor = (processor + 1) % CPU_SETSIZE) {
        if (CPU_ISSET(processor, &allowed)) {
            move(threads[n % THREADS], processor);
            check_own_processor(processor);
            n++;
        }
    }
    while (atomic_load(&replaced) < MOVES) {
        sleep_ms(1);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
