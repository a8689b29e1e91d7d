/*
 * Helpers of the process life tests; see life.h. They avoid stdio where a test may hold stdio's
 * locks, run in a child, or measure memory.
 */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t exercise_sizes[] = {1,    8,    16,    24,    100,       500,
                                        1024, 5000, 20000, 40000, 100 * KIB, MIB};

void life_fail(const char *file, int line, const char *format, ...) {
    char text[512];
    const char *slash = strrchr(file, '/');
    int length = snprintf(text, sizeof(text), "%s:%d: ", slash != NULL ? slash + 1 : file, line);
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(text + length, sizeof(text) - (size_t)length - 1, format, arguments);
    va_end(arguments);
    if ((size_t)length > sizeof(text) - 2) {
        length = sizeof(text) - 2;
    }
    text[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, text, (size_t)length);
    _exit(written < 0 ? 2 : 1);
}

void *life_keep(void *ptr) {
    __asm__ volatile("" : "+r"(ptr) : : "memory");
    return ptr;
}

static int fill_byte(size_t size) {
    return (int)((size * 37 + 11) & 0xff);
}

void *life_block(size_t size) {
    void *ptr = malloc(size);
    CHECK(ptr != NULL, "malloc(%zu) failed: %s", size, strerror(errno));
    memset(ptr, fill_byte(size), size);
    return life_keep(ptr);
}

void life_check_block(const void *ptr, size_t size) {
    const unsigned char *bytes = ptr;
    for (size_t i = 0; i < size; i++) {
        CHECK(bytes[i] == fill_byte(size), "byte %zu of the block of %zu at %p changed", i, size,
              ptr);
    }
}

void life_exercise_heap(void) {
    void *blocks[COUNT_OF(exercise_sizes)];
    for (size_t i = 0; i < COUNT_OF(exercise_sizes); i++) {
        blocks[i] = life_block(exercise_sizes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(exercise_sizes); i++) {
        life_check_block(blocks[i], exercise_sizes[i]);
        blocks[i] = realloc(blocks[i], exercise_sizes[i] * 2);
        CHECK(blocks[i] != NULL, "realloc failed");
        life_check_block(blocks[i], exercise_sizes[i]);
        free(blocks[i]);
    }
}

size_t life_resident(void) {
    char text[128] = {0};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "cannot read /proc/self/statm");
    close(fd);
    char *resident = strchr(text, ' ');
    CHECK(resident != NULL, "cannot parse /proc/self/statm");
    return (size_t)strtoull(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

void life_enter_child(void) {
    alarm(LIFE_CHILD_SECONDS);
}

void life_wait(pid_t child) {
    CHECK(child > 0, "no child: %s", strerror(errno));
    int status = 0;
    pid_t ended;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    CHECK(ended == child, "waitpid: %s", strerror(errno));
    CHECK(!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM, "a child hung");
    CHECK(!WIFSIGNALED(status), "a child was killed by signal %d", WTERMSIG(status));
    CHECK(WEXITSTATUS(status) == 0, "a child exited with %d", WEXITSTATUS(status));
}

void life_restart_limited(int resource, size_t bytes) {
    struct rlimit limit = {bytes, bytes};
    CHECK(setrlimit((__rlimit_resource_t)resource, &limit) == 0, "setrlimit: %s", strerror(errno));
    execl("/proc/self/exe", "limited", "limited", (char *)NULL);
    life_fail(__FILE__, __LINE__, "exec: %s", strerror(errno));
}
