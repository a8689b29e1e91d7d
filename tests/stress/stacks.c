/*
 * Seeded random use of pooled stacks by many threads:
 *
 *     stacks [seed] [operations] [threads]
 *
 * Stacks of all small and some large orders, guarded and zeroed, are filled and verified whole,
 * or at both ends; handed to other threads, which verify and free them; and run on: a context fills
 * part of the stack that it runs on, uses the heap from there, verifies, and retires that stack.
 * Threads end with a retired stack in their hands and are followed by others. Now and then a thread
 * forks; the child verifies and frees what the thread holds, and goes on. At the end no stack may
 * be in use. What a thread does follows from the seed; which stacks come to it from others does not.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goalloc.h>
#include <goalloc_stack.h>

#include "../examples/context.h"
#include "../pattern.h"
#include "random.h"

/* valgrind takes what lay below a stack pointer for gone; here it becomes data again. */
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(address, size) ((void)(address), (void)(size))
#endif

enum { MAX_THREADS = 64, SLOTS = 48, MAILBOX = 64, GENERATIONS = 4, CHILD_SECONDS = 100 };
enum { WHOLE = 32768, END = 4096, RUN_LEAST = 32768 };

struct slot {
    struct goalloc_stack stack;
    uint64_t id;
};

struct mailbox {
    pthread_mutex_t lock;
    size_t count;
    struct slot slots[MAILBOX];
};

struct worker {
    pthread_t thread;
    unsigned index;
    struct random random;
    uint64_t next_id;
    struct context home;
    struct context away;
    struct slot running;
    struct slot slots[SLOTS];
};

static unsigned long long seed = 1, operations = 20000, threads = 6;
static struct worker workers[MAX_THREADS];
static struct mailbox mailboxes[MAX_THREADS];
static _Thread_local struct worker *me;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "stacks %llu %llu %llu: line %d: not so: %s\n", seed, operations,      \
                    threads, __LINE__, #condition);                                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- contents ---- */

static size_t size_of(const struct slot *slot) {
    return (size_t)((char *)slot->stack.high - (char *)slot->stack.low);
}

static void write_slot(const struct slot *slot) {
    size_t size = size_of(slot), end = size <= WHOLE ? size : END;
    pattern_fill(slot->stack.low, end, slot->id);
    pattern_fill((char *)slot->stack.high - end, end, slot->id);
}

static void verify(const struct slot *slot) {
    size_t size = size_of(slot), end = size <= WHOLE ? size : END;
    CHECK(pattern_mismatch(slot->stack.low, end, slot->id) == end);
    CHECK(pattern_mismatch((char *)slot->stack.high - end, end, slot->id) == end);
}

static void check_zero(const struct slot *slot) {
    const char *bytes = slot->stack.low;
    CHECK(bytes[0] == 0 && memcmp(bytes, bytes + 1, size_of(slot) - 1) == 0);
}

/* ---- one operation ---- */

static void make(struct worker *worker, struct slot *slot, size_t least) {
    struct random *random = &worker->random;
    size_t shift =
        random_below(random, 20) == 0 ? random_below(random, 10) : random_below(random, 4);
    size_t size = ((size_t)1024 << shift) + 1 + random_below(random, (size_t)1024 << shift);
    unsigned flags = (unsigned)random_below(random, 4);
    slot->stack = goalloc_stack_alloc(size > least ? size : least, flags);
    CHECK(slot->stack.low != NULL && size_of(slot) >= size);
    if ((flags & GOALLOC_STACK_ZERO) != 0) {
        check_zero(slot);
    }
    slot->id = worker->next_id++;
    write_slot(slot);
}

static void drop(struct slot *slot) {
    verify(slot);
    if (slot->id % 8 == 0) {
        goalloc_stack_retire(slot->stack.low);
    } else {
        goalloc_stack_free(slot->stack.low);
    }
    slot->stack.low = NULL;
}

static void hand_on(struct worker *worker, struct slot *slot) {
    struct mailbox *mailbox = &mailboxes[random_below(&worker->random, threads)];
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->count < MAILBOX) {
        mailbox->slots[mailbox->count++] = *slot;
        slot->stack.low = NULL;
    }
    pthread_mutex_unlock(&mailbox->lock);
}

static void empty_mailbox(struct mailbox *mailbox) {
    struct slot slots[MAILBOX];
    pthread_mutex_lock(&mailbox->lock);
    size_t count = mailbox->count;
    memcpy(slots, mailbox->slots, count * sizeof slots[0]);
    mailbox->count = 0;
    pthread_mutex_unlock(&mailbox->lock);
    for (size_t i = 0; i < count; i++) {
        drop(&slots[i]);
    }
}

static void use_heap(struct worker *worker) {
    size_t size =
        16 + random_below(&worker->random, random_below(&worker->random, 20) ? 3000 : 90000);
    void *block = goalloc_malloc(size);
    CHECK(block != NULL);
    pattern_fill(block, size, size);
    CHECK(pattern_mismatch(block, size, size) == size);
    goalloc_free(block);
}

/* ---- on a stack of its own ---- */

/* The lower half is verified once more by the context itself. */
static void body(void) {
    struct worker *worker = me;
    struct slot low_half = worker->running;
    context_begin(&worker->home);
    low_half.stack.high = (char *)low_half.stack.low + size_of(&low_half) / 4;
    write_slot(&low_half);
    context_switch(&worker->away, &worker->home);
    use_heap(worker);
    verify(&low_half);
    goalloc_stack_retire(low_half.stack.low);
    use_heap(worker); /* on the retired stack */
    verify(&low_half);
    context_leave(&worker->away, &worker->home);
}

static void run_context(struct worker *worker) {
    make(worker, &worker->running, RUN_LEAST);
    context_make(&worker->away, worker->running.stack.low, worker->running.stack.high, body);
#if defined(__SANITIZE_THREAD__)
    void *fiber = worker->away.fiber;
#endif
    context_switch(&worker->home, &worker->away);
    use_heap(worker);
    context_switch(&worker->home, &worker->away);
    VALGRIND_MAKE_MEM_DEFINED(worker->running.stack.low, size_of(&worker->running));
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(fiber);
#endif
}

/* ---- forks ---- */

static _Noreturn void child_main(struct worker *worker) {
    alarm(CHILD_SECONDS);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (worker->slots[i].stack.low != NULL) {
            drop(&worker->slots[i]);
        }
    }
    for (unsigned i = 0; i < 200; i++) {
        make(worker, &worker->slots[i % SLOTS], 0);
        use_heap(worker);
        drop(&worker->slots[i % SLOTS]);
    }
    goalloc_stack_flush();
    goalloc_trim(0);
    _exit(0);
}

static void fork_and_wait(struct worker *worker) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        child_main(worker);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* ---- threads ---- */

static void operate(struct worker *worker) {
    struct slot *slot = &worker->slots[random_below(&worker->random, SLOTS)];
    size_t what = random_below(&worker->random, 100);
    if (what < 5) {
        run_context(worker);
    } else if (what < 15) {
        use_heap(worker);
    } else if (what == 15) {
        goalloc_stack_flush();
    } else if (slot->stack.low == NULL) {
        make(worker, slot, 0);
    } else if (what < 70) {
        drop(slot);
    } else {
        verify(slot);
        hand_on(worker, slot);
    }
}

static void *run(void *argument) {
    struct worker *worker = me = argument;
    for (unsigned long long i = 0; i < operations / GENERATIONS; i++) {
        operate(worker);
        if (i % 32 == 0) {
            empty_mailbox(&mailboxes[worker->index]);
        }
        if (i % 2000 == 1000) {
            goalloc_trim(0);
        }
    }
    if (worker->index % 2 == 0) {
        fork_and_wait(worker);
    }
    run_context(worker); /* ends with what that retired */
    return NULL;
}

static void run_generation(void) {
    for (unsigned i = 0; i < threads; i++) {
        workers[i].index = i;
        CHECK(pthread_create(&workers[i].thread, NULL, run, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
}

static void finish(void) {
    struct goalloc_stack_stats stats;
    for (unsigned i = 0; i < threads; i++) {
        empty_mailbox(&mailboxes[i]);
        for (unsigned k = 0; k < SLOTS; k++) {
            if (workers[i].slots[k].stack.low != NULL) {
                drop(&workers[i].slots[k]);
            }
        }
    }
    goalloc_stack_flush();
    goalloc_stack_get_stats(&stats);
    CHECK(stats.stacks == 0 && stats.bytes == 0);
    goalloc_trim(0);
    goalloc_stack_get_stats(&stats);
    CHECK(stats.free_stacks == 0 && stats.guards == 0);
}

int main(int argc, char **argv) {
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : seed;
    operations = argc > 2 ? strtoull(argv[2], NULL, 10) : operations;
    threads = argc > 3 ? strtoull(argv[3], NULL, 10) : threads;
    CHECK(threads > 0 && threads <= MAX_THREADS);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].random.state = seed * 1000003 + i;
        workers[i].next_id = ((uint64_t)(i + 1) << 40) + 1;
        pthread_mutex_init(&mailboxes[i].lock, NULL);
    }
    for (unsigned generation = 0; generation < GENERATIONS; generation++) {
        run_generation();
    }
    finish();
    return 0;
}
