/*
 * A burst of 192 MiB is freed, and then little happens for three seconds. Servers that keep such a
 * burst for ever are killed for it. The memory must really leave the process: memory that the
 * kernel may take when it needs some counts as resident until then.
 *
 *     give_back few_calls    a thread replaces a few blocks every 10 ms
 *     give_back idle         no thread calls the heap any more; with the option BACKGROUND
 *     give_back few_frees    a thread that never allocates frees a few blocks every 10 ms, and was
 *                            the one that freed the burst
 */
#include <stdio.h>
#include <string.h>

#include "pathology.h"

#define BURST (192 * MIB)
#define MOST 60000
#define TICKS 400
#define TICK_MS 10
#define CALLS_EACH 2
#define ALLOWED (BURST / 8)

struct block {
    void *memory;
    size_t size;
};

static struct block burst[MOST];
static struct block live[TICKS * CALLS_EACH];
static void *order[MOST];
static size_t burst_count;
static uint64_t seed = 1;

static struct block make(void) {
    size_t size = random_size(&seed, 64, 64 * KIB);
    return (struct block){touched(size), size};
}

static void drop(struct block *block) {
    free_touched(block->memory, block->size);
}

static void make_burst(void) {
    for (size_t bytes = 0; bytes < BURST && burst_count < MOST; burst_count++) {
        burst[burst_count] = make();
        order[burst_count] = &burst[burst_count];
        bytes += burst[burst_count].size;
    }
    shuffle(order, burst_count, &seed);
}

static void drop_burst(void) {
    for (size_t i = 0; i < burst_count; i++) {
        drop(order[i]);
    }
}

static void make_live(void) {
    for (size_t i = 0; i < COUNT_OF(live); i++) {
        live[i] = make();
    }
}

static void call_a_little(size_t tick) {
    (void)tick;
    for (int i = 0; i < CALLS_EACH; i++) {
        struct block *block = &live[random_below(&seed, COUNT_OF(live))];
        drop(block);
        *block = make();
    }
}

static void free_a_little(size_t tick) {
    for (size_t i = 0; i < CALLS_EACH; i++) {
        drop(&live[tick * CALLS_EACH + i]);
    }
}

/* Until memory is down to what it was, four seconds at most. */
static void wait_for_memory(size_t before, void (*act)(size_t tick)) {
    size_t tick = 0;
    while (tick < TICKS && rollup("Rss") > before + ALLOWED) {
        sleep_ms(TICK_MS);
        act(tick++);
    }
    size_t now = rollup("Rss");
    printf("%zu KiB before the burst, %zu KiB %zu ms after it\n", before / KIB, now / KIB,
           tick * TICK_MS);
    fflush(stdout);
    CHECK(now <= before + ALLOWED, "%zu KiB of the burst are still resident", (now - before) / KIB);
    CHECK(rollup("LazyFree") == 0, "memory is left to the kernel to take");
}

static size_t resident_before;

static void do_nothing(size_t tick) {
    (void)tick;
}

static void *only_free(void *unused) {
    drop_burst();
    wait_for_memory(resident_before, free_a_little);
    return unused;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: give_back few_calls|few_frees|idle");
    life_require_goalloc();
    make_live();
    resident_before = rollup("Rss");
    make_burst();
    CHECK(rollup("Rss") > resident_before + BURST / 4 * 3, "the burst is not resident");
    if (strcmp(argv[1], "few_frees") != 0) {
        drop_burst();
        bool idle = strcmp(argv[1], "idle") == 0;
        wait_for_memory(resident_before, idle ? do_nothing : call_a_little);
        return 0;
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, only_free, NULL) == 0, "no thread");
    pthread_join(thread, NULL);
    return 0;
}
