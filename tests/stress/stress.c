/*
 * Seeded random use of every allocation function by many threads:
 *
 *     stress [seed] [operations] [threads]
 *
 * A lane is a sequence of threads, each the successor of the one before it. A thread keeps a table
 * of live blocks, each filled to the end of its usable size and verified before every change. It
 * hands some blocks to other lanes, whose threads verify and free them, and all that are left to
 * its successors when it ends. Now and then a thread forks; the child verifies what the thread
 * holds and allocates. What a lane does follows from the seed; only the blocks that come from
 * other lanes depend on the interleaving.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goalloc.h>

#include "../pattern.h"
#include "random.h"

#define MAX_LANES 256
#define MAX_SLOTS 2048
#define MAILBOX_CAPACITY 512
#define GENERATIONS 5
#define LIVE_BYTES_LIMIT ((size_t)256 << 20)
#define CHILD_SECONDS 60

/* C23 names that the C library's headers do not declare yet. */
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);

struct block {
    void *ptr;
    size_t size;      /* as requested */
    size_t usable;    /* as reported when it was made */
    size_t alignment; /* as requested, 0 when by default */
    bool sized;       /* may go to free_sized or free_aligned_sized */
    uint64_t id;
};

struct mailbox {
    pthread_mutex_t lock;
    size_t count;
    struct block blocks[MAILBOX_CAPACITY];
};

struct lane {
    unsigned index;
    unsigned generation;
    struct random random;
    uint64_t next_id;
    size_t live_bytes;
    struct block slots[MAX_SLOTS];
    pthread_t thread;
};

static uint64_t seed = 1;
static size_t operations = 200000; /* of each lane, over all generations */
static unsigned lane_count = 8;
static size_t slot_count;
static struct lane lanes[MAX_LANES];
static struct mailbox mailboxes[MAX_LANES];

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "stress %llu %zu %u: ", (unsigned long long)seed, operations, lane_count); \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

static size_t random_size(struct lane *lane) {
    struct random *random = &lane->random;
    size_t kind = random_below(random, 1000);
    size_t limit = LIVE_BYTES_LIMIT / lane_count;
    size_t bound = kind < 20    ? 16
                   : kind < 700 ? 257
                   : kind < 920 ? 8200
                   : kind < 990 ? 70000
                   : kind < 999 ? (size_t)1 << 20
                                : (size_t)8 << 20;
    if (lane->live_bytes + bound > limit) {
        bound = 1024;
    }
    return random_below(random, bound + 1);
}

static void verify(const struct block *block) {
    size_t usable = malloc_usable_size(block->ptr);
    if (usable != block->usable) {
        FAIL("block %llx at %p of %zu: usable size was %zu, is %zu", (unsigned long long)block->id,
             block->ptr, block->size, block->usable, usable);
    }
    size_t bad = pattern_mismatch(block->ptr, usable, block->id);
    if (bad != usable) {
        FAIL("block %llx at %p of %zu (%zu usable): overwritten at offset %zu",
             (unsigned long long)block->id, block->ptr, block->size, usable, bad);
    }
}

/* Takes over what a call returned: checks the promises made for it and fills it. */
static void adopt(struct lane *lane, struct block *block) {
    if (block->ptr == NULL) {
        FAIL("no memory for %zu bytes aligned to %zu", block->size, block->alignment);
    }
    size_t alignment = block->alignment != 0 ? block->alignment : block->size > 8 ? 16 : 8;
    if (((uintptr_t)block->ptr & (alignment - 1)) != 0) {
        FAIL("%p of %zu bytes is not aligned to %zu", block->ptr, block->size, alignment);
    }
    block->usable = malloc_usable_size(block->ptr);
    if (block->usable < block->size) {
        FAIL("%p of %zu bytes has usable size %zu", block->ptr, block->size, block->usable);
    }
    block->id = lane->next_id++;
    pattern_fill(block->ptr, block->usable, block->id);
}

static void *zeroed(size_t count, size_t size) {
    unsigned char *p = calloc(count, size);
    for (size_t i = 0; p != NULL && i < count * size; i++) {
        if (p[i] != 0) {
            FAIL("calloc(%zu, %zu) at %p: byte %zu is 0x%02x", count, size, (void *)p, i, p[i]);
        }
    }
    return p;
}

static void *aligned(struct lane *lane, struct block *block, size_t how) {
    size_t shift = random_below(&lane->random, 1000) == 0 ? 22 : 14;
    block->alignment = (size_t)1 << (3 + random_below(&lane->random, shift - 2));
    if (how == 0) {
        return aligned_alloc(block->alignment, block->size);
    }
    if (how == 1) {
        return memalign(block->alignment, block->size);
    }
    void *out = NULL;
    int error = posix_memalign(&out, block->alignment, block->size);
    if (error != 0) {
        FAIL("posix_memalign(%zu, %zu) returned %d", block->alignment, block->size, error);
    }
    return out;
}

static void *page_aligned(struct block *block, size_t how) {
    block->alignment = (size_t)sysconf(_SC_PAGESIZE);
    block->sized = false;
    return how == 0 ? valloc(block->size) : pvalloc(block->size);
}

static void make_block(struct lane *lane, struct block *block) {
    block->size = random_size(lane);
    block->alignment = 0;
    block->sized = true;
    size_t how = random_below(&lane->random, 100);
    if (how < 60) {
        block->ptr = malloc(block->size);
    } else if (how < 75) {
        block->ptr = zeroed(1, block->size);
    } else if (how < 80) {
        block->size &= ~(size_t)7;
        block->ptr = zeroed(block->size / 8, 8);
    } else if (how < 85) {
        block->ptr = realloc(NULL, block->size);
    } else if (how < 88) {
        block->ptr = reallocarray(NULL, block->size, 1);
    } else if (how < 98) {
        block->ptr = aligned(lane, block, how % 3);
    } else {
        block->ptr = page_aligned(block, how % 2);
    }
    adopt(lane, block);
    lane->live_bytes += block->usable;
}

static void free_block(struct block *block) {
    verify(block);
    errno = 12321;
    if (!block->sized || block->id % 4 != 0) {
        free(block->ptr);
    } else if (block->alignment == 0) {
        free_sized(block->ptr, block->size);
    } else {
        free_aligned_sized(block->ptr, block->alignment, block->size);
    }
    if (errno != 12321) {
        FAIL("free changed errno to %d", errno);
    }
    block->ptr = NULL;
}

/* The pattern must survive up to the smaller size; afterwards the block is a new one. */
static void resize_block(struct lane *lane, struct block *block) {
    verify(block);
    size_t old_size = block->size;
    block->size = random_size(lane) + 1;
    size_t step = random_below(&lane->random, 4);
    if (step == 0) {
        block->size = old_size + 1 + old_size / 16;
    } else if (step == 1) {
        block->size = old_size / 2 + 1;
    }
    lane->live_bytes -= block->usable;
    block->ptr = block->id % 2 == 0 ? realloc(block->ptr, block->size)
                                    : reallocarray(block->ptr, 1, block->size);
    size_t kept = old_size < block->size ? old_size : block->size;
    if (block->ptr == NULL || pattern_mismatch(block->ptr, kept, block->id) != kept) {
        FAIL("realloc from %zu to %zu bytes lost the contents at %p", old_size, block->size,
             block->ptr);
    }
    block->alignment = 0;
    block->sized = true;
    adopt(lane, block);
    lane->live_bytes += block->usable;
}

static bool post(struct mailbox *mailbox, const struct block *block) {
    pthread_mutex_lock(&mailbox->lock);
    bool fits = mailbox->count < MAILBOX_CAPACITY;
    if (fits) {
        mailbox->blocks[mailbox->count++] = *block;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return fits;
}

/* Gives a block to another lane, or frees it when that lane's mailbox is full. */
static void hand_on(struct lane *lane, struct block *block) {
    unsigned to = (unsigned)random_below(&lane->random, lane_count);
    lane->live_bytes -= block->usable;
    if (post(&mailboxes[to], block)) {
        block->ptr = NULL;
    } else {
        free_block(block);
    }
}

static void empty_mailbox(struct mailbox *mailbox) {
    for (;;) {
        pthread_mutex_lock(&mailbox->lock);
        bool any = mailbox->count > 0;
        struct block block = {0};
        if (any) {
            block = mailbox->blocks[--mailbox->count];
        }
        pthread_mutex_unlock(&mailbox->lock);
        if (!any) {
            return;
        }
        free_block(&block);
    }
}

static void child_main(struct lane *lane) {
    alarm(CHILD_SECONDS);
    for (size_t i = 0; i < slot_count; i += 3) {
        if (lane->slots[i].ptr != NULL) {
            verify(&lane->slots[i]);
        }
    }
    for (size_t i = 0; i < 200; i++) {
        struct block block = {0};
        make_block(lane, &block);
        free_block(&block);
    }
    for (size_t i = 0; i < slot_count; i += 7) {
        if (lane->slots[i].ptr != NULL) {
            free_block(&lane->slots[i]);
        }
    }
    _exit(0);
}

static void fork_and_wait(struct lane *lane) {
    pid_t child = fork();
    if (child == 0) {
        child_main(lane);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        FAIL("fork or waitpid: %s", strerror(errno));
    }
    if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) {
        FAIL("a child forked by lane %u ended with status 0x%x", lane->index, (unsigned)status);
    }
}

static void operate(struct lane *lane) {
    struct block *block = &lane->slots[random_below(&lane->random, slot_count)];
    size_t what = random_below(&lane->random, 100);
    if (block->ptr == NULL) {
        make_block(lane, block);
    } else if (what < 60) {
        lane->live_bytes -= block->usable;
        free_block(block);
    } else if (what < 80) {
        resize_block(lane, block);
    } else {
        hand_on(lane, block);
    }
}

static void *lane_main(void *arg) {
    struct lane *lane = arg;
    size_t count = operations / GENERATIONS;
    for (size_t i = 0; i < count; i++) {
        operate(lane);
        if (i % 64 == 0) {
            empty_mailbox(&mailboxes[lane->index]);
        }
        if (i % 20000 == 10000) {
            malloc_trim(0);
        }
        if (i == count / 2 && (lane->index + lane->generation) % 4 == 0) {
            fork_and_wait(lane);
        }
    }
    for (size_t i = 0; i < slot_count; i++) {
        if (lane->slots[i].ptr != NULL) {
            hand_on(lane, &lane->slots[i]);
        }
    }
    return NULL;
}

static void start(struct lane *lane) {
    int error = pthread_create(&lane->thread, NULL, lane_main, lane);
    if (error != 0) {
        FAIL("pthread_create: %s", strerror(error));
    }
}

static void join(struct lane *lane) {
    int error = pthread_join(lane->thread, NULL);
    if (error != 0) {
        FAIL("pthread_join: %s", strerror(error));
    }
}

/* Lanes are started again one by one, so that threads of two generations run side by side. */
static void run_lanes(void) {
    for (unsigned i = 0; i < lane_count; i++) {
        lanes[i].index = i;
        lanes[i].random.state = seed * 1000003 + i;
        lanes[i].next_id = ((uint64_t)(i + 1) << 40) + 1;
        pthread_mutex_init(&mailboxes[i].lock, NULL);
    }
    for (unsigned i = 0; i < lane_count; i++) {
        start(&lanes[i]);
    }
    for (unsigned generation = 1; generation < GENERATIONS; generation++) {
        for (unsigned i = 0; i < lane_count; i++) {
            join(&lanes[i]);
            lanes[i].generation = generation;
            start(&lanes[i]);
        }
    }
    for (unsigned i = 0; i < lane_count; i++) {
        join(&lanes[i]);
    }
    for (unsigned i = 0; i < lane_count; i++) {
        empty_mailbox(&mailboxes[i]);
    }
}

static unsigned long long argument(int argc, char **argv, int index, unsigned long long otherwise) {
    return argc > index ? strtoull(argv[index], NULL, 0) : otherwise;
}

int main(int argc, char **argv) {
    seed = argument(argc, argv, 1, seed);
    operations = (size_t)argument(argc, argv, 2, operations);
    lane_count = (unsigned)argument(argc, argv, 3, lane_count);
    if (lane_count == 0 || lane_count > MAX_LANES || operations == 0) {
        fprintf(stderr, "usage: stress [seed] [operations] [threads, up to %d]\n", MAX_LANES);
        return 2;
    }
    slot_count = MAX_SLOTS / lane_count < 64 ? 64 : MAX_SLOTS / lane_count;
    struct goalloc_stats before;
    goalloc_get_stats(&before);
    run_lanes();
    struct goalloc_stats after;
    goalloc_get_stats(&after);
    if (after.allocated > before.allocated + 65536) {
        FAIL("%zu bytes are still allocated", after.allocated - before.allocated);
    }
    return 0;
}
