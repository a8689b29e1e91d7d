/* The background thread: there only when it is asked for and has something to do, it gives idle
 * memory back while nothing else runs, and a child of a fork can have one of its own. */
#include <dirent.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background.h"
#include "mheap.h"
#include "options.h"
#include "support.h"

#define BIG (16 * MIB)

enum { WAIT_MS = 20000, STEP_MS = 10 };

/* Of the whole process: under qemu's user emulation it has threads of the emulator, too. */
static unsigned threads(void) {
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        count += task->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

static void wait_until_given_back(void) {
    for (int i = 0; i < WAIT_MS / STEP_MS && mheap_get_stats().free_dirty >= MIB; i++) {
        usleep(STEP_MS * 1000);
    }
    CHECK(mheap_get_stats().free_dirty < MIB);
    CHECK(mheap_is_valid());
}

TEST_IN_CHILD(not_unasked) {
    (void)unused;
    unsigned before = threads();
    background_allow();
    use_and_free(BIG);
    background_wake();
    CHECK(threads() == before);
}

TEST_IN_CHILD(not_before_it_is_allowed) {
    (void)unused;
    unsigned before = threads();
    options.background = true;
    use_and_free(BIG);
    background_wake();
    CHECK(threads() == before);
}

TEST_IN_CHILD(not_for_nothing) {
    (void)unused;
    unsigned before = threads();
    options.background = true;
    background_allow();
    background_wake();
    CHECK(threads() == before);
}

TEST_IN_CHILD(idle_memory_goes_back) {
    (void)unused;
    skip_where_nothing_goes_back();
    unsigned before = threads();
    options.background = true;
    background_allow();
    use_and_free(BIG);
    background_wake();
    CHECK(threads() == before + 1);
    wait_until_given_back();
}

/* free, which wakes it, must leave errno alone. */
TEST_IN_CHILD(refused_without_a_trace) {
    (void)unused;
    unsigned before = threads();
    options.background = true;
    background_allow();
    use_and_free(BIG);
    limit_address_space(16 * KIB);
    errno = EDOM;
    background_wake();
    CHECK(errno == EDOM);
    CHECK(threads() == before);
}

TEST_IN_CHILD(children_have_their_own) {
    (void)unused;
    skip_where_nothing_goes_back();
    unsigned before = threads();
    if (before > 1) {
        skip_child("qemu 7 fails when the child of a process with threads creates one");
    }
    options.background = true;
    background_allow();
    use_and_free(BIG);
    background_wake();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(threads() == before);
        use_and_free(BIG);
        background_wake();
        CHECK(threads() == before + 1);
        wait_until_given_back();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_unasked),
        cmocka_unit_test(not_before_it_is_allowed),
        cmocka_unit_test(not_for_nothing),
        cmocka_unit_test(idle_memory_goes_back),
        cmocka_unit_test(refused_without_a_trace),
        cmocka_unit_test(children_have_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
