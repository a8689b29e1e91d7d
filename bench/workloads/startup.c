/*
 * The cost of being there: a program that allocates once and ends, started 200 times. Stands for
 * shell scripts, compilers and everything that runs for a millisecond. Punishes work before main:
 * reservations, tables, threads, page faults. Metrics: microseconds for a start, and the resident
 * memory of one.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "bench.h"

enum { STARTS = 200, WARM_STARTS = 5 };

extern char **environ;

/* What a child does: one block, and how much memory it has then, to the parent. */
static int child(void) {
    volatile char *block = need(malloc(100));
    block[0] = 1;
    size_t rss = rss_exact();
    return write(STDOUT_FILENO, &rss, sizeof rss) == sizeof rss ? 0 : EXIT_UNABLE;
}

static size_t start(char *program, int pipe_ends[2], posix_spawn_file_actions_t *actions) {
    char *arguments[] = {program, (char *)(uintptr_t) "child", NULL};
    size_t rss = 0;
    pid_t id;
    int status;
    require(posix_spawn(&id, "/proc/self/exe", actions, NULL, arguments, environ) == 0, "spawn");
    require(waitpid(id, &status, 0) == id && status == 0, "run a child");
    require(read(pipe_ends[0], &rss, sizeof rss) == sizeof rss, "read from a child");
    return rss;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "child") == 0) {
        return child();
    }
    struct bench bench = bench_arguments(argc, argv, (struct bench){.threads = 1});
    posix_spawn_file_actions_t actions;
    int pipe_ends[2];
    size_t rss = 0, starts = scaled(&bench, STARTS);
    require(pipe(pipe_ends) == 0, "make a pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    for (int i = 0; i < WARM_STARTS; i++) {
        start(argv[0], pipe_ends, &actions);
    }
    uint64_t begin = now_ns();
    for (size_t i = 0; i < starts; i++) {
        rss = start(argv[0], pipe_ends, &actions);
    }
    metric("start", (double)(now_ns() - begin) / 1000 / (double)starts, "us");
    metric("rss_of_one", (double)rss, "bytes");
    return 0;
}
