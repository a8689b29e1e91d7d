/*
 * The constructor and the destructor. The heap does not wait for them: it starts with the first
 * allocation, which may come from the dynamic linker. See init.h and README.md.
 */
#include "init.h"

#include <dlfcn.h>

#include "alloc.h"
#include "background.h"
#include "fatal.h"
#include "goalloc.h"
#include "options.h"
#include "os.h"
#include "print.h"
#include "stats.h"
#include "thread.h"

#pragma weak dladdr

/* Where statistics go at exit: many programs close stderr before that. Some close everything, and
 * use the number for a file of their own. */
static int stats_fd = STDERR;
static struct os_file stats_file;

static const char *library_path(void) {
    Dl_info info;
    bool found = dladdr != NULL && dladdr((const void *)&goalloc_version, &info) != 0;
    return found ? info.dli_fname : "linked statically";
}

static void introduce(void) {
    warn("version %s, %s", goalloc_version(), library_path());
    warn("options, as GOALLOC_<NAME>=value or GOALLOC_CONF=name:value,...");
    options_print();
}

__attribute__((constructor)) void init_library(void) {
    static bool done;
    if (done) {
        return;
    }
    done = true;
    thread_start_with_libc();
    background_allow();
    if (options.verbose) {
        introduce();
    }
    if (options.stats) {
        int fd = os_duplicate(STDERR);
        stats_fd = fd >= 0 ? fd : STDERR;
        os_get_file(stats_fd, &stats_file);
    }
}

static bool is_stats_file(int fd) {
    struct os_file now;
    return os_get_file(fd, &now) && now.device == stats_file.device &&
           now.number == stats_file.number;
}

/* What is in the cache of the thread that ends the process has not been looked at yet: double frees
 * show when it goes back. */
__attribute__((destructor)) static void end_library(void) {
    if (options.stats && (is_stats_file(stats_fd) || is_stats_file(STDERR))) {
        stats_print(is_stats_file(stats_fd) ? stats_fd : STDERR);
    }
    alloc_end();
}
