/*
 * GOALLOC_STATS prints as the process ends, when many programs have closed stderr: then it comes
 * all the same (closed). Where a program has closed everything and opened files of its own, which
 * get the numbers that the library knows, nothing is written to them (reused).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "life.h"

#define DESCRIPTORS 200 /* more than the library counts on */

/* Until the library's destructor has run, nothing has any other file. */
static void end_with_own_files(const char *path) {
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        close(fd);
    }
    while (open(path, O_WRONLY | O_APPEND) < DESCRIPTORS - 1) {
    }
    exit(0);
}

static void check_reused(void) {
    char path[] = "/tmp/goalloc-stats-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0, "mkstemp");
    pid_t child = fork();
    if (child == 0) {
        end_with_own_files(path);
    }
    life_wait(child);
    struct stat file;
    CHECK(fstat(fd, &file) == 0 && unlink(path) == 0, "the file is gone");
    CHECK(file.st_size == 0, "%ld bytes in a file of the program's", (long)file.st_size);
}

int main(int argc, char **argv) {
    life_require_goalloc();
    CHECK(argc == 2, "usage: stats_at_exit closed|reused");
    free(life_block(100));
    if (strcmp(argv[1], "reused") == 0) {
        check_reused();
    } else {
        fclose(stderr);
    }
    return 0;
}
