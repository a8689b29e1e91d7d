/*
 * Runs a fuzz target without libFuzzer: first the files given, then, for as long as wanted, random
 * inputs and random changes of those files.
 *
 *     fuzz_TARGET [-s SEED] [-t SECONDS] [FILE | DIRECTORY]...
 *
 * A finding leaves its input in crash-TARGET-SEED in the current directory; given as a file, it is
 * run again. What one input leaves behind in the process can matter to a later one: the same seed
 * and files repeat the whole way there.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 4096, FILES = 256 };

struct file {
    uint8_t bytes[LARGEST];
    size_t size;
};

static struct file files[FILES];
static size_t file_count;
static struct file current;
static char crash_file[256];
static uint64_t state;

/* splitmix64 */
static uint64_t random_next(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t random_below(size_t below) {
    return (size_t)(random_next() >> 16) % below;
}

static void keep_input(int number) {
    int fd = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t written = fd < 0 ? -1 : write(fd, current.bytes, current.size);
    const char *text = written < 0 ? "no file could be written for " : "see ";
    if (write(STDERR_FILENO, text, strlen(text)) < 0 ||
        write(STDERR_FILENO, crash_file, strlen(crash_file)) < 0 ||
        write(STDERR_FILENO, "\n", 1) < 0) {
        _exit(2);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void run_current(void) {
    LLVMFuzzerTestOneInput(current.bytes, current.size);
}

static void load_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && file_count < FILES);
    ssize_t got = read(fd, current.bytes, LARGEST);
    REQUIRE(got >= 0);
    current.size = (size_t)got;
    close(fd);
    files[file_count++] = current;
    run_current();
}

static void load(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        REQUIRE(errno == ENOTDIR);
        load_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            load_file(name);
        }
    }
    closedir(directory);
}

static void make_random(void) {
    current.size = random_below((size_t)16 << random_below(9));
    for (size_t i = 0; i < current.size; i++) {
        current.bytes[i] = (uint8_t)random_below(256);
    }
}

/* Some bytes of one file changed, and its end perhaps that of another. */
static void make_changed(void) {
    current = files[random_below(file_count)];
    const struct file *other = &files[random_below(file_count)];
    for (size_t i = random_below(8); i > 0 && current.size > 0; i--) {
        current.bytes[random_below(current.size)] = (uint8_t)random_below(256);
    }
    if (other->size > 0 && random_below(2) == 0) {
        size_t from = random_below(other->size), to = random_below(current.size + 1);
        size_t size = other->size - from < LARGEST - to ? other->size - from : LARGEST - to;
        memcpy(current.bytes + to, other->bytes + from, size);
        current.size = to + size;
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned long run_for(double duration) {
    unsigned long runs = 0;
    for (double end = seconds() + duration; seconds() < end; runs++) {
        if (file_count > 0 && random_below(2) == 0) {
            make_changed();
        } else {
            make_random();
        }
        run_current();
    }
    return runs;
}

static void catch_findings(const char *program, unsigned long seed) {
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    const char *slash = strrchr(program, '/');
    snprintf(crash_file, sizeof crash_file, "crash-%s-%lu", slash != NULL ? slash + 1 : program,
             seed);
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        signal(signals[i], keep_input);
    }
}

int main(int argc, char **argv) {
    unsigned long seed = 1;
    double duration = 0;
    for (int option; (option = getopt(argc, argv, "s:t:")) >= 0;) {
        REQUIRE(option == 's' || option == 't');
        if (option == 's') {
            seed = strtoul(optarg, NULL, 10);
        } else {
            duration = strtod(optarg, NULL);
        }
    }
    state = seed;
    catch_findings(argv[0], seed);
    for (int i = optind; i < argc; i++) {
        load(argv[i]);
    }
    unsigned long runs = run_for(duration);
    printf("fuzz: %zu files, %lu inputs in %.0f s, seed %lu\n", file_count, runs, duration, seed);
    return 0;
}
