/* Helpers of the unit tests; see support.h. */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../pattern.h"
#include "mheap.h"
#include "os.h"
#include "thread.h"

enum { CHILD_SECONDS = 100, FORK_SECONDS = 20, MOST_THREADS = 64 };

/* ---- children ---- */

/* cmocka's handlers would go on with the other tests in the child. */
static void become_child(int text_fd) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS};
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        signal(signals[i], SIG_DFL);
    }
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(CHILD_SECONDS);
    dup2(text_fd, STDERR_FILENO);
}

static void read_text(struct child *child, int fd) {
    ssize_t got;
    child->length = 0;
    do {
        size_t room = sizeof child->text - 1 - child->length;
        got = read(fd, child->text + child->length, room);
        child->length += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    child->text[child->length] = '\0';
}

/* Under qemu's user emulation the emulator has the last word on an abort. */
static void cut_emulator(struct child *child) {
    char *last = strstr(child->text, "qemu: uncaught target signal");
    if (last != NULL) {
        *last = '\0';
        child->length = (size_t)(last - child->text);
    }
}

void run_child(struct child *child, void (*body)(const void *), const void *argument) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        become_child(ends[1]);
        body(argument);
        _exit(0);
    }
    close(ends[1]);
    read_text(child, ends[0]);
    cut_emulator(child);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &child->status, 0), pid);
}

void assert_child_passes(void (*body)(const void *), const void *argument) {
    struct child child;
    run_child(&child, body, argument);
    if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == CHILD_SKIPPED) {
        print_message("skipped: %s", child.text);
        skip();
    }
    if (child.status != 0 || child.length > 0) { /* a sanitizer may have had something to say */
        fail_msg("the child ended with status 0x%x: %s", (unsigned)child.status, child.text);
    }
}

void assert_child_aborts(void (*body)(const void *), const void *argument, const char *text) {
    struct child child;
    run_child(&child, body, argument);
    assert_string_equal(child.text, text);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGABRT);
}

void check_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    _exit(1);
}

void skip_child(const char *reason) {
    fprintf(stderr, "%s\n", reason);
    _exit(CHILD_SKIPPED);
}

/* ---- threads ---- */

struct runner {
    pthread_t thread;
    pthread_barrier_t *gate;
    void (*body)(unsigned index);
    unsigned index;
};

static void *run(void *argument) {
    struct runner *runner = argument;
    pthread_barrier_wait(runner->gate);
    runner->body(runner->index);
    return NULL;
}

void run_threads(unsigned count, void (*body)(unsigned index)) {
    struct runner runners[MOST_THREADS];
    pthread_barrier_t gate;
    CHECK(count <= MOST_THREADS);
    CHECK(pthread_barrier_init(&gate, NULL, count) == 0);
    for (unsigned i = 0; i < count; i++) {
        runners[i] = (struct runner){.gate = &gate, .body = body, .index = i};
        CHECK(pthread_create(&runners[i].thread, NULL, run, &runners[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK(pthread_join(runners[i].thread, NULL) == 0);
    }
    pthread_barrier_destroy(&gate);
}

/* ---- forks ---- */

/* Every way into the slow path begins with it. */
static void look_for_fork(void) {
    CHECK(thread_enter_without_cache());
    CHECK(thread_leave() == NULL);
}

void run_forks(unsigned count, void (*body)(void)) {
    look_for_fork();
    for (unsigned i = 0; i < count; i++) {
        int status;
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            alarm(FORK_SECONDS);
            look_for_fork();
            body();
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
}

/* ---- numbers and bytes ---- */

/* Marsaglia's xorshift64*. */
uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

size_t random_below(uint64_t *state, size_t below) {
    return (size_t)(random_next(state) >> 16) % below;
}

void fill(void *memory, size_t size, unsigned seed) {
    pattern_fill(memory, size, seed);
}

bool is_filled(const void *memory, size_t size, unsigned seed) {
    return pattern_mismatch(memory, size, seed) == size;
}

bool is_zero(const void *memory, size_t size) {
    const unsigned char *bytes = memory;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

bool is_aligned_to(const void *memory, size_t align) {
    return ((uintptr_t)memory & (align - 1)) == 0;
}

/* ---- the process ---- */

size_t virtual_bytes(void) {
    char text[64] = {0};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoull(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

size_t resident_pages(void *memory, size_t bytes) {
    unsigned char in_core[64 * MIB / 4096];
    size_t count = 0, pages = bytes / os_page_size();
    CHECK(pages <= sizeof in_core && mincore(memory, bytes, in_core) == 0);
    for (size_t i = 0; i < pages; i++) {
        count += in_core[i] & 1;
    }
    return count;
}

size_t page_faults(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (size_t)usage.ru_minflt;
}

bool takes_any_advice(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    bool taken = madvise(memory, page, 12345) == 0;
    munmap(memory, page);
    return taken;
}

void limit_address_space(size_t more) {
    size_t bytes = virtual_bytes() + more;
    struct rlimit limit = {bytes, bytes};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    void *probe = mmap(NULL, 2 * more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe != MAP_FAILED) {
        skip_child("RLIMIT_AS has no effect here");
    }
}

void use_and_free(size_t bytes) {
    struct span *span = mheap_alloc_large(bytes, PAGE_SIZE, MHEAP_ANY);
    CHECK(span != NULL);
    fill((void *)span->base, bytes, 1);
    mheap_free(span);
}

void skip_where_nothing_goes_back(void) {
    char *page = os_map(os_page_size());
    CHECK(page != NULL);
    if (!os_discard(page, os_page_size())) {
        skip_child("this system gives nothing back");
    }
}
