/*
 * Runs a program and single-steps the calls that it marks (see marker.h), from the first
 * instruction of the function until it is back in the caller. The stub through which the caller
 * came is not part of it. For golden.py, standard output gets the mappings of the program, and for
 * each call a line "call NAME SIZE USABLE", the address of each instruction, and "end".
 *
 *     steps PROGRAM
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "marker.h"

/* A call that takes longer is far off the fast path; golden.py sees that its "end" is missing. */
#define MAX_STEPS 2000

static const char *const call_names[] = {
    [CALL_MALLOC] = "malloc",         [CALL_FREE] = "free",
    [CALL_FREE_OTHER] = "free-other", [CALL_USABLE_SIZE] = "usable-size",
    [CALL_REALLOC] = "realloc",
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("steps: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static struct user_regs_struct registers_of(pid_t pid) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0) {
        die("cannot read the registers: %m");
    }
    return regs;
}

/* Lets the program run until it stops again. Returns the signal that stopped it, 0 at its end. */
static int resume(int request, pid_t pid, int signal) {
    int status;
    if (ptrace(request, pid, NULL, (void *)(intptr_t)signal) != 0) {
        die("cannot resume the program: %m");
    }
    if (waitpid(pid, &status, 0) != pid) {
        die("cannot wait for the program: %m");
    }
    if (WIFSTOPPED(status)) {
        return WSTOPSIG(status);
    }
    if (WIFSIGNALED(status)) {
        die("the program was ended by signal %d", WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0) {
        die("the program exited with status %d", WEXITSTATUS(status));
    }
    return 0;
}

static struct user_regs_struct step(pid_t pid) {
    int signal = resume(PTRACE_SINGLESTEP, pid, 0);
    if (signal != SIGTRAP) {
        die("signal %d in a marked call", signal);
    }
    return registers_of(pid);
}

static void print_mappings(pid_t pid) {
    char path[64];
    char line[4096];
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    if (!maps) {
        die("cannot open %s: %m", path);
    }
    while (fgets(line, sizeof(line), maps)) {
        printf("map %s", line);
    }
    fclose(maps);
}

static void record_call(pid_t pid) {
    struct user_regs_struct regs = registers_of(pid);
    uint64_t entry = regs.rsi;
    if (regs.rdi >= sizeof(call_names) / sizeof(call_names[0])) {
        die("a breakpoint that is no marker");
    }
    printf("call %s %llu %llu\n", call_names[regs.rdi], regs.rdx, regs.rcx);

    for (int i = 0; regs.rip != entry; i++) {
        if (i == MAX_STEPS) {
            die("the function is not called after its marker");
        }
        regs = step(pid);
    }
    uint64_t stack_in_caller = regs.rsp + 8;
    for (int i = 0; i < MAX_STEPS; i++) {
        printf("%" PRIx64 "\n", (uint64_t)regs.rip);
        regs = step(pid);
        if (regs.rsp == stack_in_caller) {
            puts("end");
            return;
        }
    }
}

static pid_t start(char **argv) {
    pid_t pid = fork();
    if (pid < 0) {
        die("cannot fork: %m");
    }
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            die("tracing is not allowed here: %m");
        }
        execv(argv[0], argv);
        die("cannot run %s: %m", argv[0]);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        die("%s did not start", argv[0]);
    }
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_EXITKILL) != 0) {
        die("cannot trace %s: %m", argv[0]);
    }
    return pid;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        die("usage: steps PROGRAM");
    }
    pid_t pid = start(argv + 1);
    bool mapped = false;
    for (int signal = 0;;) {
        signal = resume(PTRACE_CONT, pid, signal);
        if (signal == 0) {
            return 0;
        }
        if (signal != SIGTRAP) {
            continue;
        }
        if (!mapped) {
            print_mappings(pid);
        }
        mapped = true;
        record_call(pid);
        signal = 0;
    }
}
