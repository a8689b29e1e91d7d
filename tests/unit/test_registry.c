/* The list of all caches: how many there are, which shards they get, and what a fork does to them.
 * Each test has a heap of its own. */
#include "support.h"

#include "alloc.h"
#include "magazine.h"
#include "mcache_struct.h"
#include "mcentral.h"
#include "mheap.h"
#include "os.h"
#include "registry.h"
#include "thread.h"

enum { SIZE = 64, OBJECTS = 20, LARGE = 64 * KIB };

static size_t caches(void) {
    size_t count;
    registry_total_bytes(&count);
    return count;
}

static size_t cached_bytes(void) {
    size_t count;
    return registry_total_bytes(&count);
}

static struct mcache *create(void) {
    struct mcache *cache = mcache_create_hidden();
    CHECK(cache != NULL);
    return cache;
}

/* ---- the list ---- */

TEST_IN_CHILD(counts_caches) {
    (void)unused;
    CHECK(caches() == 0);
    struct mcache *a = create(), *b = create(), *c = create();
    CHECK(caches() == 3);
    mcache_destroy(b); /* from the middle, the start and the end of the list */
    CHECK(caches() == 2);
    mcache_destroy(c);
    mcache_destroy(a);
    CHECK(caches() == 0 && cached_bytes() == 0);
}

TEST_IN_CHILD(deals_out_shards) {
    static struct mcache *all[MCENTRAL_SHARDS];
    unsigned shards = (unsigned)min_size(2 * os_processors(), MCENTRAL_SHARDS);
    (void)unused;
    for (unsigned i = 0; i < shards; i++) {
        all[i] = create();
        CHECK(all[i]->shard == i && all[i]->large.shard == i);
    }
    CHECK(create()->shard == 0);
    mcache_destroy(all[shards - 1]);
    CHECK(create()->shard == shards - 1);
}

/* Of large blocks one thread may keep 256 KiB, but a thousand must not keep a thousand times that. */
TEST_IN_CHILD(many_caches_share_large_blocks) {
    enum { CACHES = 1000 };
    size_t sum = 0, least = SIZE_MAX;
    (void)unused;
    for (unsigned i = 0; i < CACHES; i++) {
        size_t most = create()->large.most;
        CHECK((i < 16) == (most == 256 * KIB) && most <= least);
        least = most;
        sum += most;
    }
    CHECK(sum < 24 * MIB);
}

/* ---- forks ---- */

/* Another thread's, with objects of which some are in use. */
static struct mcache *create_used(struct mcache_front *front) {
    struct mcache *cache = mcache_create(front);
    void *objects[OBJECTS];
    CHECK(cache != NULL);
    front->cache = cache;
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = mcache_pop(cache, size_class(SIZE), 0);
        CHECK(objects[i] != NULL);
    }
    for (unsigned i = 1; i < OBJECTS; i++) {
        mcache_push(cache, size_class(SIZE), objects[i], "free");
    }
    struct span *large = mheap_alloc_large(LARGE, PAGE_SIZE, MHEAP_ANY);
    CHECK(large != NULL && arena_claim_large(&arenas[0], large->base, large));
    CHECK(largecache_put(&cache->large, large));
    return cache;
}

static void start_heap(void) {
    alloc_free(alloc_malloc(100000));
    CHECK(caches() == 1 && cached_bytes() == 0);
}

static void become_child(void) {
    registry_begin_in_child();
    registry_reset_in_child(thread_cache(), false);
}

static size_t counted_bytes(const struct bin *bin) {
    return bin->magazine->count * (size_t)SIZE;
}

TEST_IN_CHILD(hands_out_what_a_fork_left_behind) {
    static struct mcache_front front;
    (void)unused;
    start_heap();
    struct mcache *cache = create_used(&front);
    size_t bytes = cached_bytes();
    CHECK(caches() == 2 && bytes > 0 && registry_take_abandoned() == NULL);
    CHECK(registry_total_large().blocks == 2 && registry_total_large().bytes > LARGE);
    become_child();
    CHECK(caches() == 1 && cached_bytes() == 0 && registry_total_large().blocks == 1);
    CHECK(registry_take_abandoned() == cache && registry_take_abandoned() == NULL);
    CHECK(counted_bytes(&cache->bins[size_class(SIZE)]) == bytes);
}

/* Nobody knows where its thread stood. */
TEST_IN_CHILD(loses_a_cache_in_the_slow_path) {
    (void)unused;
    start_heap();
    create(); /* is always busy */
    become_child();
    CHECK(caches() == 1 && registry_take_abandoned() == NULL);
}

/* The storage is that of a thread that the child has started by then. */
TEST_IN_CHILD(loses_a_cache_whose_storage_is_used_again) {
    static struct mcache_front front;
    (void)unused;
    start_heap();
    create_used(&front);
    registry_begin_in_child();
    struct mcache *younger = create_used(&front);
    registry_reset_in_child(thread_cache(), false);
    CHECK(caches() == 2 && front.cache == younger && registry_take_abandoned() == NULL);
}

/* The sweeps of the thread that is left, over many slow operations. */
TEST_IN_CHILD(abandoned_blocks_go_back) {
    static struct mcache_front front;
    (void)unused;
    start_heap();
    create_used(&front);
    become_child();
    CHECK(mcentral_get_stats(size_class(SIZE)).out > SIZE);
    for (unsigned i = 0; i < 200; i++) {
        mcache_flush(thread_cache());
        alloc_free(alloc_malloc(1000));
    }
    CHECK(mcentral_get_stats(size_class(SIZE)).out == SIZE); /* the one in use */
    CHECK(mcentral_is_valid(size_class(SIZE)) && registry_take_abandoned() == NULL);
    largecache_release(SIZE_MAX);
    CHECK(mheap_get_stats().large_blocks == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_caches),
        cmocka_unit_test(deals_out_shards),
        cmocka_unit_test(many_caches_share_large_blocks),
        cmocka_unit_test(hands_out_what_a_fork_left_behind),
        cmocka_unit_test(loses_a_cache_in_the_slow_path),
        cmocka_unit_test(loses_a_cache_whose_storage_is_used_again),
        cmocka_unit_test(abandoned_blocks_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
