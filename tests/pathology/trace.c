/*
 * Counts what a piece of work does, by tracing a child process that does it: exact on any machine,
 * however busy, where a time would not be. See pathology.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pathology.h"

#define CALL_STOP (SIGTRAP | 0x80)

/* On one processor, for the two of them never run at the same time, and a switch to another one
 * takes ten times as long as a step. */
static pid_t start(void (*prepare)(void), void (*work)(void)) {
    use_one_processor();
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            skip("tracing is not allowed here");
        }
        prepare();
        raise(SIGSTOP);
        work();
        _exit(0);
    }
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child, "no child: %s", strerror(errno));
    if (WIFEXITED(status)) {
        _exit(WEXITSTATUS(status)); /* it has said why */
    }
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "the child did not get to its work");
    intptr_t options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
    CHECK(ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) == 0, "cannot trace");
    return child;
}

/* False at the end of the child. Threads that it starts are traced as well; *thread is the one that
 * stopped. */
static bool next_stop(pid_t child, pid_t *thread, int *signal) {
    int status;
    for (;;) {
        *thread = waitpid(-1, &status, __WALL);
        CHECK(*thread > 0, "waitpid: %s", strerror(errno));
        if (WIFSTOPPED(status)) {
            *signal = WSTOPSIG(status);
            CHECK(*signal == CALL_STOP || *signal == SIGTRAP || *signal == SIGSTOP,
                  "the child got signal %d", *signal);
            return true;
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child failed");
        if (*thread == child) {
            return false;
        }
    }
}

static void resume(int request, pid_t thread) {
    /* A thread may be gone already: the process ends with its first one. */
    CHECK(ptrace(request, thread, NULL, NULL) == 0 || errno == ESRCH, "cannot resume: %s",
          strerror(errno));
}

static bool changes_mappings(uint64_t call) {
    static const uint64_t calls[] = {SYS_mmap,     SYS_munmap,  SYS_mremap,
                                     SYS_mprotect, SYS_madvise, SYS_brk};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        if (calls[i] == call) {
            return true;
        }
    }
    return false;
}

static bool enters_mapping_call(pid_t thread) {
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info);
    if (size < 0 && errno == EIO) {
        skip("this kernel does not tell which system call it is");
    }
    return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY && changes_mappings(info.entry.nr);
}

size_t mapping_calls(void (*prepare)(void), void (*work)(void)) {
    pid_t child = start(prepare, work);
    pid_t thread;
    int signal;
    size_t calls = 0;
    resume(PTRACE_SYSCALL, child);
    while (next_stop(child, &thread, &signal)) {
        calls += signal == CALL_STOP && enters_mapping_call(thread);
        resume(PTRACE_SYSCALL, thread);
    }
    return calls;
}

size_t instructions(void (*prepare)(void), void (*work)(void)) {
    pid_t child = start(prepare, work);
    pid_t thread;
    int signal;
    size_t steps = 0;
    resume(PTRACE_SINGLESTEP, child);
    while (next_stop(child, &thread, &signal)) {
        steps++;
        resume(PTRACE_SINGLESTEP, thread);
    }
    return steps;
}
