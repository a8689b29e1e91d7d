/*
 * The floor: a process that does one malloc(100) must not be more than 160 KiB larger than the
 * same process over the C library's malloc, the library's own pages counted, and must not have more
 * than 64 KiB more memory that is no file's. The C library's file does not count: all processes
 * share it, and the kernel maps 64 KiB or so around each page that is touched, wherever that
 * begins.
 *
 *     small_process LIBRARY
 *
 * starts itself with and without the library preloaded, and compares the medians of what the
 * children measure.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

#define RUNS 51
#define ALLOWED_RESIDENT (160 * KIB)
#define ALLOWED_ANONYMOUS (64 * KIB)

struct memory {
    size_t resident;
    size_t anonymous;
};

static size_t read_kib(const char *line, const char *name) {
    size_t length = strlen(name);
    return strncmp(line, name, length) == 0 ? (size_t)strtoull(line + length, NULL, 10) * KIB : 0;
}

static void read_all(int fd, char *text, size_t size) {
    size_t length = 0;
    ssize_t got;
    while ((got = read(fd, text + length, size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    text[length] = '\0';
    CHECK(got == 0 && length > 0 && length < size - 1, "cannot read smaps");
}

/* From smaps, read into a buffer on the stack: a line with its path for each mapping, then its
 * sizes, of which Rss comes before Anonymous. */
static struct memory read_memory(void) {
    char text[64 * KIB];
    struct memory memory = {0, 0};
    bool in_libc = false;
    int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0, "no smaps");
    read_all(fd, text, sizeof(text));
    close(fd);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (strchr(line, '-') != NULL && strchr(line, '-') < strchr(line, ' ')) {
            in_libc = strstr(line, "/libc.so.") != NULL;
        }
        size_t anonymous = read_kib(line, "Anonymous:");
        memory.anonymous += anonymous;
        memory.resident += in_libc ? anonymous : read_kib(line, "Rss:");
    }
    CHECK(memory.resident > 0 && memory.anonymous > 0, "no sizes in smaps");
    return memory;
}

static int measure(const char *wants_goalloc) {
    char *block = life_keep(malloc(100));
    CHECK(block != NULL, "malloc failed");
    block[0] = 1;
    struct memory memory = read_memory();
    if (strcmp(wants_goalloc, "goalloc") == 0) {
        life_require_goalloc();
    }
    CHECK(write(STDOUT_FILENO, &memory, sizeof(memory)) == sizeof(memory), "write failed");
    return 0;
}

static struct memory run_once(char **environment, char *wants_goalloc) {
    int ends[2];
    CHECK(pipe(ends) == 0, "no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    char *arguments[] = {"small_process", "measure", wants_goalloc, NULL};
    pid_t child;
    CHECK(posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environment) == 0,
          "cannot start the program again");
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    struct memory memory = {0, 0};
    CHECK(read(ends[0], &memory, sizeof(memory)) == sizeof(memory), "the child said nothing");
    close(ends[0]);
    life_wait(child);
    return memory;
}

static int compare(const void *a, const void *b) {
    size_t left = *(const size_t *)a;
    size_t right = *(const size_t *)b;
    return (left > right) - (left < right);
}

/* Each of the two for itself. */
static struct memory median(char **environment, char *wants_goalloc) {
    size_t resident[RUNS], anonymous[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        struct memory memory = run_once(environment, wants_goalloc);
        resident[i] = memory.resident;
        anonymous[i] = memory.anonymous;
    }
    qsort(resident, RUNS, sizeof(resident[0]), compare);
    qsort(anonymous, RUNS, sizeof(anonymous[0]), compare);
    return (struct memory){resident[RUNS / 2], anonymous[RUNS / 2]};
}

static void check(const char *what, size_t goalloc, size_t libc, size_t allowed) {
    printf("%s: %zu KiB with goalloc, %zu KiB without\n", what, goalloc / KIB, libc / KIB);
    CHECK(goalloc <= libc + allowed, "goalloc adds %zu KiB (%s)", (goalloc - libc) / KIB, what);
}

int main(int argc, char **argv) {
    if (argc == 3) {
        return measure(argv[2]);
    }
    CHECK(argc == 2, "usage: small_process LIBRARY");
    char preload[4096];
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", argv[1]);
    char *with_library[] = {preload, NULL};
    char *without_library[] = {NULL};
    struct memory goalloc = median(with_library, "goalloc");
    struct memory libc = median(without_library, "libc");
    check("resident", goalloc.resident, libc.resident, ALLOWED_RESIDENT);
    check("anonymous", goalloc.anonymous, libc.anonymous, ALLOWED_ANONYMOUS);
    return 0;
}
