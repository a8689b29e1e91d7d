/*
 * The kernel calls of Linux. They are made directly, not through libc: another library may wrap
 * mmap and allocate in its wrapper, and free must not change errno. See os.h and README.md.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/stat.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "base.h"
#include "vdso.h"

/* Newer than the headers that we still build with. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Not MAP_NORESERVE: without access a mapping costs no commit charge anyway, and what is opened
 * should count, so that a request beyond all memory is refused here and not by the OOM killer. */
enum { PRIVATE_MEMORY = MAP_PRIVATE | MAP_ANONYMOUS };

/* Everything is passed as a long, as the kernel takes it. */
#define SYSCALL(number, a, b, c, d, e, f)                                                          \
    arch_syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static bool failed(long result) {
    return (unsigned long)result > (unsigned long)-4096L;
}

static void *map(void *where, size_t size, int protection, int flags) {
    long result = SYSCALL(SYS_mmap, where, size, protection, flags, -1, 0);
    return failed(result) ? NULL : (void *)result;
}

size_t os_page_size(void) {
    static _Atomic size_t page_size;
    size_t size = atomic_load_explicit(&page_size, memory_order_relaxed);
    if (size == 0) {
        size = getauxval(AT_PAGESZ);
        atomic_store_explicit(&page_size, size, memory_order_relaxed);
    }
    return size;
}

size_t os_address_space_limit(void) {
    struct rlimit limit = {0};
    if (failed(SYSCALL(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit, 0, 0))) {
        return SIZE_MAX;
    }
    return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

void *os_reserve(void *hint, size_t size) {
    return map(hint, size, PROT_NONE, PRIVATE_MEMORY);
}

/* Kernels before 4.17 take MAP_FIXED_NOREPLACE for nothing and the address for a hint. */
bool os_reserve_at(void *where, size_t size) {
    void *base = map(where, size, PROT_NONE, PRIVATE_MEMORY | MAP_FIXED_NOREPLACE);
    if (base != NULL && base != where) {
        os_unreserve(base, size);
    }
    return base == where;
}

void os_unreserve(void *base, size_t size) {
    SYSCALL(SYS_munmap, base, size, 0, 0, 0, 0);
}

bool os_open(void *base, size_t size) {
    return !failed(SYSCALL(SYS_mprotect, base, size, PROT_READ | PROT_WRITE, 0, 0, 0));
}

bool os_forbid(void *base, size_t size) {
    return !failed(SYSCALL(SYS_mprotect, base, size, PROT_NONE, 0, 0, 0));
}

bool os_open_for_reading(void *base, size_t size) {
    return !failed(SYSCALL(SYS_mprotect, base, size, PROT_READ, 0, 0, 0));
}

void *os_map(size_t size) {
    return map(NULL, size, PROT_READ | PROT_WRITE, PRIVATE_MEMORY);
}

void *os_map_readable(size_t size) {
    return map(NULL, size, PROT_READ, PRIVATE_MEMORY);
}

/* qemu-user takes any advice, even one that does not exist, and does nothing. */
static bool advice_is_taken(void *base, size_t size, int advice) {
    enum { NO_SUCH_ADVICE = 12345 };
    return !failed(SYSCALL(SYS_madvise, base, size, advice, 0, 0, 0)) &&
           failed(SYSCALL(SYS_madvise, base, size, NO_SUCH_ADVICE, 0, 0, 0));
}

void *os_map_wiped_by_fork(size_t size) {
    void *base = os_map(size);
    if (base != NULL && !advice_is_taken(base, size, MADV_WIPEONFORK)) {
        os_unreserve(base, size);
        return NULL;
    }
    return base;
}

/* Old versions of qemu-user accept MADV_DONTNEED and do nothing; one try on a page tells. */
/* ThreadSanitizer does not see that two threads' probes at one address are two mappings. */
__attribute__((no_sanitize("thread"))) static NO_INLINE bool discard_zeroes(void) {
    enum { UNKNOWN, YES, NO };
    static _Atomic int answer;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == UNKNOWN) {
        volatile char *probe = os_map(os_page_size());
        if (probe == NULL) {
            return false;
        }
        *probe = 1;
        bool refused = failed(SYSCALL(SYS_madvise, probe, os_page_size(), MADV_DONTNEED, 0, 0, 0));
        known = *probe == 0 ? YES : refused ? UNKNOWN : NO;
        os_unreserve((void *)probe, os_page_size());
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == YES;
}

/* Since Linux 6.13. */
bool os_mark_guard(void *base, size_t size) {
    enum { UNKNOWN, YES, NO };
    static _Atomic int answer;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == UNKNOWN) {
        bool taken = advice_is_taken(base, size, MADV_GUARD_INSTALL);
        atomic_store_explicit(&answer, taken ? YES : NO, memory_order_relaxed);
        return taken;
    }
    return known == YES && !failed(SYSCALL(SYS_madvise, base, size, MADV_GUARD_INSTALL, 0, 0, 0));
}

void os_unmark_guards(void *base, size_t size) {
    SYSCALL(SYS_madvise, base, size, MADV_GUARD_REMOVE, 0, 0, 0);
}

size_t os_mappings_most(void) {
    enum { DEFAULT = 65530 };
    char text[24] = {0};
    int fd = os_open_file("/proc/sys/vm/max_map_count");
    ssize_t length = fd >= 0 ? os_read(fd, text, sizeof text) : 0;
    size_t most = 0;
    for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
        most = most * 10 + (size_t)(text[i] - '0');
    }
    if (fd >= 0) {
        os_close(fd);
    }
    return most > 0 ? most : DEFAULT;
}

bool os_discard(void *base, size_t size) {
    return discard_zeroes() && !failed(SYSCALL(SYS_madvise, base, size, MADV_DONTNEED, 0, 0, 0));
}

/* A filter may end the process for a call that hardly any program makes. */
static bool is_filtered(void) {
    return SYSCALL(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) > 0;
}

size_t os_resident(void *base, size_t size) {
    enum { LEAST_PAGE = 4096 };
    unsigned char present[OS_RESIDENT_MOST / LEAST_PAGE] = {0};
    size_t pages = size / os_page_size(), count = 0;
    if (is_filtered()) {
        return size;
    }
    if (failed(SYSCALL(SYS_mincore, base, size, present, 0, 0, 0))) {
        return 0;
    }
    for (size_t i = 0; i < pages; i++) {
        count += present[i] & 1;
    }
    return count * os_page_size();
}

/* Each move leaves a mapping that the kernel cannot merge with its neighbours, and it allows some
 * 65,000 of them; past this many moves, copying is the smaller evil. */
static _Atomic int moves_left = 8192;

/* Is there address space left? */
static bool has_room(size_t size) {
    void *range = os_reserve(NULL, size);
    if (range != NULL) {
        os_unreserve(range, size);
    }
    return range != NULL;
}

/* MREMAP_FIXED unmaps the target before it looks at the rest. A refusal after that leaves a hole,
 * which a fresh mapping heals, unless the process is at its limit of address space: one that has
 * lowered it below what is mapped. */
bool os_move_pages(void *to, void *from, size_t size) {
    if (atomic_fetch_sub_explicit(&moves_left, 1, memory_order_relaxed) <= 0 || !has_room(size)) {
        atomic_fetch_add_explicit(&moves_left, 1, memory_order_relaxed);
        return false;
    }
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if (failed(SYSCALL(SYS_mremap, from, size, size, flags, to, 0))) {
        if (os_reserve_at(to, size)) {
            os_open(to, size);
        }
        return false;
    }
    os_open(from, size); /* nothing new for the kernel; qemu-user takes it for unmapped */
    return true;
}

void os_avoid_huge_pages(void *base, size_t size) {
    SYSCALL(SYS_madvise, base, size, MADV_NOHUGEPAGE, 0, 0, 0);
}

void os_futex_wait(const void *word, uint32_t value, unsigned milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000L};
    SYSCALL(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &time, 0, 0);
}

void os_futex_wake(const void *word, int waiters) {
    SYSCALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, 0, 0, 0);
}

void os_yield(void) {
    SYSCALL(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/* The kernel reads the mask before it finds that there is no such operation; NULL is no mask. */
bool os_is_readable(const void *address) {
    enum { NO_SUCH_OPERATION = 12345, MASK_SIZE = 8 };
    long answer = SYSCALL(SYS_rt_sigprocmask, NO_SUCH_OPERATION, address, NULL, MASK_SIZE, 0, 0);
    return address != NULL && answer != -EFAULT;
}

unsigned os_thread_id(void) {
    return (unsigned)SYSCALL(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

bool os_is_first_thread(void) {
    return SYSCALL(SYS_getpid, 0, 0, 0, 0, 0, 0) == SYSCALL(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* What proc(5) tells of a process is the state of its first thread, a Z when that has ended, which
 * counts as one as long as there are others. */
bool os_is_last_thread(void) {
    enum { FIELDS_TO_THREADS = 18 };
    char text[512];
    int file = os_open_file("/proc/self/stat");
    if (file < 0) {
        return false;
    }
    ssize_t got = os_read(file, text, sizeof text - 1);
    os_close(file);
    text[got < 0 ? 0 : got] = '\0';
    const char *field = strrchr(text, ')'); /* the name before it may hold anything */
    if (field == NULL || strncmp(field, ") Z ", 4) != 0) {
        return false;
    }
    for (int i = 0; i < FIELDS_TO_THREADS && field != NULL; i++) {
        field = strchr(field + 1, ' ');
    }
    return field != NULL && strncmp(field, " 2 ", 3) == 0;
}

unsigned os_processors(void) {
    unsigned long set[16] = {0};
    unsigned count = 0;
    long process = SYSCALL(SYS_getpid, 0, 0, 0, 0, 0, 0);
    if (failed(SYSCALL(SYS_sched_getaffinity, process, sizeof set, set, 0, 0, 0))) {
        return 1;
    }
    for (unsigned i = 0; i < sizeof set / sizeof set[0]; i++) {
        count += (unsigned)__builtin_popcountl(set[i]);
    }
    return count;
}

typedef int (*clock_function)(clockid_t clock, struct timespec *now);

static int clock_by_system_call(clockid_t clock, struct timespec *now) {
    return (int)SYSCALL(SYS_clock_gettime, clock, now, 0, 0, 0, 0);
}

/* Past libc, whose name for it others wrap. There is no vDSO under valgrind, nor under old
 * emulators, of which getauxval tells by errno, too. */
static NO_INLINE clock_function find_clock(void) {
    int saved = errno;
    void *found = vdso_find((const void *)getauxval(AT_SYSINFO_EHDR), ARCH_VDSO_CLOCK);
    errno = saved;
    return found != NULL ? (clock_function)found : clock_by_system_call;
}

uint64_t os_milliseconds(void) {
    static _Atomic(clock_function) clock;
    clock_function ask = atomic_load_explicit(&clock, memory_order_relaxed);
    if (UNLIKELY(ask == NULL)) {
        ask = find_clock();
        atomic_store_explicit(&clock, ask, memory_order_relaxed);
    }
    struct timespec now = {0};
    ask(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void os_write(int fd, const char *text, size_t length) {
    while (length > 0) {
        long written = SYSCALL(SYS_write, fd, text, length, 0, 0, 0);
        if (written == -EINTR) {
            continue;
        }
        if (failed(written) || written == 0) {
            return;
        }
        text += written;
        length -= (size_t)written;
    }
}

int os_duplicate(int fd) {
    return (int)SYSCALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 100, 0, 0, 0);
}

int os_open_file(const char *path) {
    return (int)SYSCALL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

bool os_get_file(int fd, struct os_file *file) {
    struct statx status = {0};
    if (failed(SYSCALL(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO, &status, 0))) {
        return false;
    }
    file->device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
    file->number = status.stx_ino;
    return true;
}

ssize_t os_read(int fd, void *out, size_t size) {
    long result;
    do {
        result = SYSCALL(SYS_read, fd, out, size, 0, 0, 0);
    } while (result == -EINTR);
    return result;
}

void os_close(int fd) {
    SYSCALL(SYS_close, fd, 0, 0, 0, 0, 0);
}

bool os_is_secure(void) {
    return getauxval(AT_SECURE) != 0;
}
