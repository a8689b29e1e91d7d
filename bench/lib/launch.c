/*
 * Starts one program and reports what it used: launch FD PRELOAD COMMAND...
 *
 * Linux counts into a process's peak of resident memory what the process was before its exec. A
 * program that the Python driver starts by itself would therefore never show less than Python's
 * own peak; this small program in between brings that floor below a megabyte. It also takes the
 * time, so that none of the driver's own work is in it, and sets LD_PRELOAD (unless PRELOAD is
 * empty) in the measured program only.
 *
 * To file descriptor FD goes one line: wait status, nanoseconds from fork to exit, microseconds of
 * CPU time as user and in the kernel, peak RSS in KiB, minor and major page faults. SIGTERM and
 * SIGINT are passed on to the program. Exits with 0 when the line is written, whatever the program
 * did.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void pass_on(int signal_number) {
    if (child > 0) {
        kill(child, signal_number);
    }
}

static int64_t now_ns(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t microseconds(struct timeval time) {
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

_Noreturn static void become(const char *preload, char **command) {
    if (preload[0] != '\0') {
        setenv("LD_PRELOAD", preload, 1);
    }
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

static void report(int fd, int status, int64_t elapsed, const struct rusage *usage) {
    dprintf(fd, "%d %lld %lld %lld %ld %ld %ld\n", status, (long long)elapsed,
            (long long)microseconds(usage->ru_utime), (long long)microseconds(usage->ru_stime),
            usage->ru_maxrss, usage->ru_minflt, usage->ru_majflt);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    struct rusage usage;
    int64_t start;
    int status;

    if (argc < 4) {
        fprintf(stderr, "usage: launch FD PRELOAD COMMAND...\n");
        return 2;
    }
    int fd = atoi(argv[1]);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    start = now_ns();
    child = fork();
    if (child < 0) {
        perror("fork");
        return 1;
    }
    if (child == 0) {
        close(fd);
        become(argv[2], argv + 3);
    }
    while (wait4(child, &status, 0, &usage) < 0) {
        if (errno != EINTR) {
            perror("wait4");
            return 1;
        }
    }
    report(fd, status, now_ns() - start, &usage);
    return 0;
}
