/*
 * A signal handler that allocates and frees some thousand times a second, as those of profilers
 * and crash reporters do although they must not. It interrupts threads inside the slow path of
 * malloc, for in the fast path no such handler is safe, see LD_PRELOAD.md: their blocks are all
 * large, or with the argument "small", for checked mode, in which no call is fast, of all classes.
 * With "stats" it interrupts threads that read the statistics. It may get NULL, but nothing may
 * hang, crash, or hand out a block twice.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "life.h"

#define SIGNALS 5000
#define SIGNALS_AMONG_LARGE 15000
#define INTERVAL_US 200
#define HELD 60

static atomic_int signals;
static _Atomic(void *) gift; /* for the handler to free: of one byte */
static atomic_int corrupted;
static int wanted = SIGNALS;
static size_t divisor = 1; /* of the sizes that the threads use */

static void allocate_in_handler(int signal_number) {
    (void)signal_number;
    static const size_t sizes[] = {40, 500, 2000, 9000, 25000, 70000};
    int saved = errno;
    free(atomic_exchange(&gift, NULL));
    int count = atomic_fetch_add(&signals, 1);
    size_t size = sizes[(size_t)count % COUNT_OF(sizes)];
    unsigned char *block = malloc(size);
    if (block != NULL) {
        memset(life_keep(block), 0xee, size);
        if (block[0] != 0xee || block[size - 1] != 0xee) {
            atomic_fetch_add(&corrupted, 1);
        }
        free(block);
    }
    errno = saved;
}

static void *churn(void *arg) {
    static const size_t sizes[] = {33000, 40000, 70000, 200000};
    void *held[HELD] = {0};
    size_t held_size[HELD] = {0};
    for (size_t i = 0; atomic_load(&signals) < wanted; i++) {
        size_t slot = (i * 31) % HELD;
        if (held[slot] != NULL) {
            life_check_block(held[slot], held_size[slot]);
            free(held[slot]);
        }
        held_size[slot] = sizes[i % COUNT_OF(sizes)] / divisor + i % 8;
        held[slot] = life_block(held_size[slot]);
        if (divisor > 1 && atomic_load(&gift) == NULL) {
            free(atomic_exchange(&gift, life_block(1)));
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        free(held[i]);
    }
    return arg;
}

static void *read_stats(void *arg) {
    while (atomic_load(&signals) < wanted) {
        struct mallinfo2 info = mallinfo2();
        CHECK(info.arena > 0, "a heap without memory");
    }
    return arg;
}

int main(int argc, char **argv) {
    life_require_goalloc();
    const char *mode = argc > 1 ? argv[1] : "";
    void *(*work)(void *) = strcmp(mode, "stats") == 0 ? read_stats : churn;
    divisor = strcmp(mode, "small") == 0 ? 1000 : 1;
    wanted = strcmp(mode, "") == 0 ? SIGNALS_AMONG_LARGE : SIGNALS;
    struct sigaction action = {.sa_handler = allocate_in_handler, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0, "sigaction failed");
    pthread_t other;
    CHECK(pthread_create(&other, NULL, work, NULL) == 0, "no thread");
    struct itimerval timer = {{0, INTERVAL_US}, {0, INTERVAL_US}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0, "setitimer failed");
    work(NULL);
    timer.it_value.tv_usec = 0;
    setitimer(ITIMER_REAL, &timer, NULL);
    pthread_join(other, NULL);
    CHECK(atomic_load(&corrupted) == 0, "%d blocks were not the handler's own",
          atomic_load(&corrupted));
    life_exercise_heap();
    return 0;
}
