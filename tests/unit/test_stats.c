/* The sums: parts that add up to the whole, and what the test holds is what is said to be held.
 * Each test has a heap of its own. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "registry.h"
#include "resize.h"
#include "stats.h"
#include "thread.h"

enum { BLOCKS = 2000, THREADS = 4, FORKS = 200 };

static void *blocks[THREADS][BLOCKS];
static size_t held[THREADS];

static struct goalloc_stats get(void) {
    struct goalloc_stats stats;
    stats_get(&stats);
    return stats;
}

static void check_sums(void) {
    struct goalloc_stats stats = get();
    CHECK(stats.active + stats.free_pages + stats.retained == stats.mapped);
    CHECK(stats.resident == stats.active - span_hole_bytes() + stats.free_pages + stats.metadata);
    CHECK(stats.allocated + stats.thread_cache + stats.central_free == stats.active);
}

/* Allocates blocks of all kinds and frees some of them again. */
static void work(unsigned index) {
    uint64_t seed = index + 7;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = random_below(&seed, (size_t)1 << (4 + random_below(&seed, 14)));
        blocks[index][i] = alloc_malloc(size);
        CHECK(blocks[index][i] != NULL);
        held[index] += resize_usable_size(blocks[index][i]);
    }
    for (unsigned i = index % 2; i < BLOCKS; i += 2) {
        held[index] -= resize_usable_size(blocks[index][i]);
        alloc_free(blocks[index][i]);
        blocks[index][i] = NULL;
    }
}

static void end_work(unsigned index) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        alloc_free(blocks[index][i]);
    }
}

/* What a thread keeps for itself counts as free pages. */
TEST_IN_CHILD(kept_blocks_are_free) {
    (void)unused;
    void *block = alloc_malloc(120000), *other = alloc_malloc(100000);
    size_t both = resize_usable_size(block) + resize_usable_size(other);
    struct goalloc_stats before = get();
    CHECK(before.allocated == both);
    alloc_free(other);
    CHECK(registry_total_large().blocks == 1);
    struct goalloc_stats after = get();
    check_sums();
    CHECK(after.allocated == resize_usable_size(block) && after.mapped == before.mapped);
    CHECK(before.active - after.active >= 100000);
    CHECK(after.free_pages - before.free_pages == before.active - after.active);
    alloc_free(block);
}

TEST_IN_CHILD(nothing_yet) {
    (void)unused;
    struct goalloc_stats stats = get();
    CHECK(stats.allocated == 0 && stats.active == 0 && stats.mapped == 0 && stats.threads == 0);
    check_sums();
}

TEST_IN_CHILD(one_thread) {
    (void)unused;
    work(0);
    check_sums();
    CHECK(get().threads == 1 && get().thread_cache > 0);
    CHECK(get().allocated == held[0]);
    mcache_flush(thread_cache());
    check_sums();
    CHECK(get().thread_cache == 0);
    CHECK(get().allocated == held[0]);
    end_work(0);
    CHECK(get().allocated == 0);
    check_sums();
}

TEST_IN_CHILD(many_threads) {
    size_t all = 0;
    (void)unused;
    run_threads(THREADS, work);
    for (unsigned i = 0; i < THREADS; i++) {
        all += held[i];
    }
    CHECK(get().threads == 0 && get().allocated == all);
    check_sums();
    run_threads(THREADS, end_work);
    CHECK(get().allocated == 0);
    check_sums();
}

TEST_IN_CHILD(trim) {
    (void)unused;
    work(0);
    end_work(0);
    CHECK(get().free_pages > 0);
    if (alloc_trim(0) == 0) {
        skip_child("this system does not discard");
    }
    struct goalloc_stats stats = get();
    CHECK(stats.active == 0 && stats.free_pages == 0 && stats.thread_cache == 0);
    CHECK(stats.central_free == 0 && stats.retained == stats.mapped);
    check_sums();
}

/* ---- written out ---- */

static void read_back(int fd, char *text, size_t size) {
    ssize_t got = pread(fd, text, size - 1, 0);
    CHECK(got > 0 && (size_t)got < size - 1);
    text[got] = '\0';
}

static bool has_value(const char *text, const char *name, size_t value) {
    char line[64];
    snprintf(line, sizeof line, "goalloc:   %-13s %12zu  ", name, value);
    return strstr(text, line) != NULL;
}

static atomic_bool finished;

static void *read_until_finished(void *unused) {
    while (!finished) {
        get();
    }
    return unused;
}

static void use_and_work(void) {
    use_and_free(MIB);
    work(0);
}

/* What the other thread is doing must not matter to the child: here it has never allocated. */
TEST_IN_CHILD(forks_while_a_thread_reads) {
    (void)unused;
    pthread_t reader;
    use_and_free(MIB);
    CHECK(pthread_create(&reader, NULL, read_until_finished, NULL) == 0);
    run_forks(FORKS, use_and_work);
    finished = true;
    CHECK(pthread_join(reader, NULL) == 0);
}

TEST_IN_CHILD(text) {
    char written[8192];
    (void)unused;
    work(0);
    FILE *file = tmpfile();
    CHECK(file != NULL);
    struct goalloc_stats stats = get();
    stats_print(fileno(file));
    read_back(fileno(file), written, sizeof written);
    CHECK(strncmp(written, "goalloc: statistics, in bytes\n", 30) == 0);
    CHECK(has_value(written, "allocated", stats.allocated));
    CHECK(has_value(written, "active", stats.active));
    CHECK(has_value(written, "thread cache", stats.thread_cache));
    CHECK(has_value(written, "central free", stats.central_free));
    CHECK(has_value(written, "free pages", stats.free_pages));
    CHECK(has_value(written, "retained", stats.retained));
    CHECK(has_value(written, "metadata", stats.metadata));
    CHECK(has_value(written, "mapped", stats.mapped));
}

TEST_IN_CHILD(xml) {
    char written[16384], line[128];
    (void)unused;
    work(0);
    FILE *file = tmpfile();
    CHECK(file != NULL);
    struct goalloc_stats stats = get();
    stats_write_xml(file);
    CHECK(fflush(file) == 0);
    read_back(fileno(file), written, sizeof written);
    CHECK(strncmp(written, "<malloc version=\"goalloc-1\">\n", 29) == 0);
    CHECK(strcmp(written + strlen(written) - 10, "</malloc>\n") == 0);
    snprintf(line, sizeof line, "<system type=\"current\" size=\"%zu\"/>\n", stats.mapped);
    CHECK(strstr(written, line) != NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_blocks_are_free),
        cmocka_unit_test(nothing_yet),
        cmocka_unit_test(one_thread),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(trim),
        cmocka_unit_test(text),
        cmocka_unit_test(xml),
        cmocka_unit_test(forks_while_a_thread_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
