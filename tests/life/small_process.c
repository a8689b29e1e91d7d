/*
 * The floor: a process that does one malloc(100) must not have more than 64 KiB more memory of its
 * own than the same process over the C library's malloc. Pages of files do not count: they are
 * shared, and the kernel maps 64 KiB or so around each that is touched, wherever that begins.
 *
 *     small_process LIBRARY
 *
 * starts itself with and without the library preloaded, and compares the medians of what the
 * children measure.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

#define RUNS 51
#define ALLOWED_BYTES (64 * KIB)

/* The "Anonymous:" line of smaps_rollup, read into a buffer on the stack. */
static size_t read_anonymous(void) {
    char text[4096] = {0};
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "cannot read smaps_rollup");
    close(fd);
    char *line = strstr(text, "\nAnonymous:");
    CHECK(line != NULL, "no Anonymous in smaps_rollup");
    return (size_t)strtoull(line + 11, NULL, 10) * KIB;
}

static int measure(const char *wants_goalloc) {
    char *block = life_keep(malloc(100));
    CHECK(block != NULL, "malloc failed");
    block[0] = 1;
    size_t anonymous = read_anonymous();
    if (strcmp(wants_goalloc, "goalloc") == 0) {
        life_require_goalloc();
    }
    CHECK(write(STDOUT_FILENO, &anonymous, sizeof(anonymous)) == sizeof(anonymous), "write failed");
    return 0;
}

static size_t run_once(char **environment, char *wants_goalloc) {
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
    size_t anonymous = 0;
    CHECK(read(ends[0], &anonymous, sizeof(anonymous)) == sizeof(anonymous),
          "the child said nothing");
    close(ends[0]);
    life_wait(child);
    return anonymous;
}

static int compare(const void *a, const void *b) {
    size_t left = *(const size_t *)a;
    size_t right = *(const size_t *)b;
    return (left > right) - (left < right);
}

static size_t median(char **environment, char *wants_goalloc) {
    size_t results[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        results[i] = run_once(environment, wants_goalloc);
    }
    qsort(results, RUNS, sizeof(results[0]), compare);
    return results[RUNS / 2];
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
    size_t goalloc = median(with_library, "goalloc");
    size_t libc = median(without_library, "libc");
    printf("anonymous: %zu KiB with goalloc, %zu KiB without\n", goalloc / KIB, libc / KIB);
    CHECK(goalloc <= libc + ALLOWED_BYTES, "goalloc adds %zu KiB", (goalloc - libc) / KIB);
    return 0;
}
