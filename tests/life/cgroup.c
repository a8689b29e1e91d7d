/*
 * A process in a memory cgroup that uses most of its limit again and again, each time in blocks of
 * another size: what one phase freed must serve the next, or the kernel ends the process. Skipped
 * where no cgroup can be made (it takes root and a writable hierarchy).
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life.h"

#define LIMIT (64 * MIB)
#define USED (44 * MIB)
#define BLOCKS_MOST (USED / 64)

struct hierarchy {
    const char *root;
    const char *limit;
};

static const struct hierarchy hierarchies[] = {
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
    {"/sys/fs/cgroup", "memory.max"},
};

static bool write_number(const char *directory, const char *file, size_t number) {
    char path[256], text[32];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    int length = snprintf(text, sizeof text, "%zu", number);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, (size_t)length) == length;
    close(fd);
    return written;
}

static bool make_cgroup(char *path, size_t size) {
    for (size_t i = 0; i < COUNT_OF(hierarchies); i++) {
        snprintf(path, size, "%s/goalloc-life-%d", hierarchies[i].root, (int)getpid());
        if (mkdir(path, 0755) == 0) {
            if (write_number(path, hierarchies[i].limit, LIMIT)) {
                return true;
            }
            rmdir(path);
        }
    }
    return false;
}

static void use_most(size_t size) {
    static void *blocks[BLOCKS_MOST];
    size_t count = USED / size;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = life_block(size);
    }
    for (size_t i = 0; i < count; i++) {
        life_check_block(blocks[i], size);
        free(blocks[i]);
    }
}

static void live_in(const char *path) {
    static const size_t sizes[] = {64, 100 * KIB, 1000, 5 * MIB, 300, 20000, 40960, 128};
    life_enter_child();
    CHECK(write_number(path, "cgroup.procs", (size_t)getpid()), "cannot enter the cgroup");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        use_most(sizes[i]);
    }
    _exit(0);
}

int main(void) {
    char path[128];
    int status;
    life_require_goalloc();
    if (!make_cgroup(path, sizeof path)) {
        puts("skipped: no memory cgroup can be made here");
        return LIFE_SKIPPED;
    }
    pid_t child = fork();
    if (child == 0) {
        live_in(path);
    }
    CHECK(waitpid(child, &status, 0) == child, "no child");
    rmdir(path);
    CHECK(status == 0, "the process in the cgroup ended with status 0x%x", (unsigned)status);
    return 0;
}
