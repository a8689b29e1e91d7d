/* The failing system calls, blocks that know their contents, and the final checks. See faults.h. */
#include "faults.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "goalloc.h"
#include "mcentral.h"
#include "mheap.h"
#include "support.h"
#include "thread.h"

/* ---- system calls ---- */

struct settings {
    _Atomic unsigned long calls;
    _Atomic unsigned long injected;
    _Atomic unsigned long nth;
    _Atomic unsigned per_thousand;
};

static struct settings *settings;
static bool off; /* in this process */

long faults_syscall(long number, long a, long b, long c, long d, long e, long f);

/* The error that a call of this kind may end with; 0: it cannot fail, or nothing follows from it. */
static long error_of(long number, long operation) {
    switch (number) {
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_munmap:
    case SYS_mremap:
    case SYS_madvise:
        return -ENOMEM;
    case SYS_futex:
        return operation == FUTEX_WAIT_PRIVATE ? -EINTR : 0;
    case SYS_openat:
    case SYS_fcntl:
        return -EMFILE;
    case SYS_read:
        return -EIO;
    case SYS_prlimit64:
    case SYS_sched_getaffinity:
        return -EPERM;
    default:
        return 0;
    }
}

static unsigned next_random(void) {
    static _Atomic uint64_t count = 0x9e3779b97f4a7c15u;
    uint64_t state = atomic_fetch_add(&count, 0x9e3779b97f4a7c15u);
    return (unsigned)(random_next(&state) >> 32);
}

static bool must_fail(void) {
    if (off) {
        return false;
    }
    unsigned long call = atomic_fetch_add(&settings->calls, 1) + 1;
    bool fails = call == settings->nth || next_random() % 1000 < settings->per_thousand;
    settings->injected += fails;
    return fails;
}

/* The kernel empties the target of a move before it finds out that it cannot move. Not where the
 * next call may fail, too: nothing could close that hole. */
static void fail_late(long number, long size, long flags, long to) {
    if (number == SYS_mremap && (flags & MREMAP_FIXED) != 0 && settings->per_thousand == 0) {
        arch_syscall(SYS_munmap, to, size, 0, 0, 0, 0);
    }
}

/* Most waits do wait: threads that never sleep keep those that they wait for from running. */
static bool is_spared(long number) {
    return number == SYS_futex && next_random() % 16 != 0;
}

long faults_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long error = error_of(number, b);
    if (error != 0 && !is_spared(number) && must_fail()) {
        fail_late(number, c, d, e);
        return error;
    }
    return arch_syscall(number, a, b, c, d, e, f);
}

void faults_start(void) {
    settings =
        mmap(NULL, sizeof *settings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(settings != MAP_FAILED);
}

static void set(unsigned long nth, unsigned per_thousand) {
    settings->nth = nth;
    settings->per_thousand = per_thousand;
    settings->calls = 0;
    settings->injected = 0;
    off = false;
}

void faults_none(void) {
    off = true;
}

void faults_nth(unsigned long n) {
    set(n, 0);
}

void faults_random(unsigned per_thousand) {
    set(0, per_thousand);
}

unsigned long faults_calls(void) {
    return settings->calls;
}

unsigned long faults_injected(void) {
    return settings->injected;
}

/* ---- blocks ---- */

static _Atomic unsigned long failures;

unsigned long block_failures(void) {
    return failures;
}

static struct block filled(void *address, size_t align, size_t size, unsigned id) {
    if (address == NULL) {
        CHECK(errno == ENOMEM);
        failures++;
        return (struct block){.address = NULL};
    }
    CHECK(is_aligned_to(address, align) && goalloc_usable_size(address) >= size);
    fill(address, size, id);
    return (struct block){address, size, id};
}

struct block block_new(size_t size, unsigned id) {
    errno = 0;
    return filled(goalloc_malloc(size), 8, size, id);
}

struct block block_zeroed(size_t size, unsigned id) {
    errno = 0;
    void *address = goalloc_calloc(1, size);
    CHECK(address == NULL || is_zero(address, size));
    return filled(address, 8, size, id);
}

struct block block_aligned(size_t align, size_t size, unsigned id) {
    errno = 0;
    return filled(goalloc_aligned_alloc(align, size), align, size, id);
}

void block_resize(struct block *block, size_t size) {
    if (block->address == NULL) {
        return;
    }
    errno = 0;
    void *address = goalloc_realloc(block->address, size);
    size_t kept = address == NULL || block->size < size ? block->size : size;
    CHECK(is_filled(address != NULL ? address : block->address, kept, block->id));
    struct block resized = filled(address, 8, size, block->id + 1);
    *block = address != NULL ? resized : *block;
}

void block_free(struct block *block) {
    if (block->address != NULL) {
        CHECK(is_filled(block->address, block->size, block->id));
        errno = EDOM;
        goalloc_free(block->address);
        CHECK(errno == EDOM);
        block->address = NULL;
    }
}

void begin_interruption(void) {
    CHECK(thread_enter());
}

void end_interruption(void) {
    for (void *next, *block = thread_leave(); block != NULL; block = next) {
        next = *(void **)block;
        goalloc_free(block);
    }
}

/* ---- the end ---- */

static void check_structures(void) {
    CHECK(mheap_is_valid());
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        CHECK(mcentral_is_valid(class));
    }
}

static void use(size_t size) {
    struct block block = block_new(size, 1);
    CHECK(block.address != NULL);
    block_free(&block);
}

/* Larger than what an earlier emergency left. */
static void use_in_emergency(void) {
    begin_interruption();
    use(3 << 20);
    end_interruption();
}

void check_heap_works(void) {
    for (size_t size = 1; size < (size_t)1 << 20; size += size / 3 + 1) {
        use(size);
    }
    use_in_emergency();
    goalloc_trim(0);
    check_structures();
}

void check_heap_is_whole(void) {
    struct goalloc_stats stats;
    check_heap_works();
    goalloc_get_stats(&stats);
    CHECK(stats.allocated == 0 && stats.active == 0 && stats.thread_cache == 0);
    CHECK(stats.central_free == 0 && stats.free_pages == 0);
}
