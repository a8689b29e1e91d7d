/* Depots: what they take, what they hand out, and what of it goes back to the spans. Each test has a
 * heap of its own. */
#include "support.h"

#include "depot.h"
#include "mcentral.h"
#include "mheap.h"
#include "sparse.h"

enum { THREADS = 4, ROUNDS = 20000, FULL = 5, MOST = 8 };

static struct magazine *full_magazine(unsigned shard, unsigned class, unsigned n) {
    struct magazine *magazine = magazine_create();
    CHECK(magazine != NULL);
    magazine_set_capacity(magazine, n);
    while (magazine->count < n) {
        void *object;
        CHECK(mcentral_take(shard, class, &object + 1, 1) == 1);
        magazine_push(magazine, object);
    }
    return magazine;
}

static void put(unsigned shard, unsigned class, unsigned magazines) {
    struct magazine *empty;
    for (unsigned i = 0; i < magazines; i++) {
        CHECK(depot_put(class, full_magazine(shard, class, FULL), &empty) && empty == NULL);
    }
}

static size_t objects_in_depots(unsigned class, unsigned classes) {
    size_t objects = 0;
    for (unsigned i = class; i < class + classes; i++) {
        objects += depot_bytes(i) / class_to_size[i];
    }
    return objects;
}

static void check_empty(unsigned class) {
    depot_release_all();
    CHECK(depot_bytes(class) == 0 && mcentral_get_stats(class).out == 0);
    CHECK(mcentral_is_valid(class) && mheap_get_stats().in_use == 0);
}

TEST_IN_CHILD(last_in_first_out) {
    struct magazine *full[MOST + 1], *empty;
    unsigned class = size_class(64), count = 0;
    (void)unused;
    CHECK(depot_take(0, class, NULL) == NULL);
    do {
        CHECK(count < COUNT_OF(full));
        full[count] = full_magazine(0, class, FULL);
    } while (depot_put(class, full[count], &empty) && ++count);
    CHECK(count == MOST && empty == NULL);
    CHECK(depot_bytes(class) == (size_t)MOST * FULL * 64);
    CHECK(mcentral_get_stats(class).out == (size_t)(MOST + 1) * FULL * 64);
    mcentral_give(class, magazine_lowest(full[MOST]), FULL, "free");
    CHECK(depot_take(0, class, full[MOST]) == full[MOST - 1]);
    CHECK(full[MOST - 1]->count == FULL);
    CHECK(depot_put(class, full[MOST - 1], &empty) && empty == full[MOST]);
    check_empty(class);
    CHECK(depot_take(0, class, NULL) == NULL);
}

/* One object is left in each of 64 spans; what the depot holds goes back, but only then. */
TEST_IN_CHILD(sparse_classes_drain) {
    enum { SPANS = 64, IN_SPAN = 128 };
    static void *objects[SPANS * IN_SPAN];
    unsigned class = size_class(64);
    (void)unused;
    for (unsigned i = 0; i < COUNT_OF(objects); i++) {
        CHECK(mcentral_take(0, class, &objects[i] + 1, 1) == 1);
    }
    for (unsigned i = 0; i < COUNT_OF(objects); i++) {
        if (i % IN_SPAN != 0) {
            mcentral_give(class, &objects[i], 1, "free");
        }
    }
    put(0, class, 2);
    CHECK(sparse_is(0, class));
    depot_drain(class);
    CHECK(!sparse_is(0, class) && depot_bytes(class) == 0 && mcentral_is_valid(class));
    put(0, class, 2);
    depot_drain(class);
    CHECK(depot_bytes(class) == (size_t)2 * FULL * 64);
    for (unsigned i = 0; i < COUNT_OF(objects); i += IN_SPAN) {
        mcentral_give(class, &objects[i], 1, "free");
    }
    check_empty(class);
}

/* How many full magazines a depot takes: 8, or 64 KiB, but two at least. */
static void check_most(size_t size, unsigned most) {
    unsigned class = size_class(size), count = 0;
    struct magazine *full, *empty;
    unsigned objects = magazine_capacity_most(size);
    while (full = full_magazine(0, class, objects), depot_put(class, full, &empty)) {
        CHECK(++count <= most);
    }
    CHECK(count == most);
}

TEST_IN_CHILD(large_objects) {
    (void)unused;
    check_most(16, MOST);
    check_most(512, 2);
    check_most(16384, 2);
    check_most(32768, 2);
}

/* A magazine goes to the shard that its first object is of. */
TEST_IN_CHILD(shards) {
    unsigned class = size_class(128);
    (void)unused;
    put(3, class, 1);
    CHECK(depot_take(0, class, NULL) == NULL);
    struct magazine *full = depot_take(3, class, NULL);
    CHECK(full != NULL && mcentral_shard_of(*magazine_lowest(full)) == 3);
    mcentral_give(class, magazine_lowest(full), FULL, "free");
    check_empty(class);
}

static void trim_all(void) {
    depot_begin_trim();
    while (depot_trim_some()) {
    }
}

/* Only what nobody has needed since the last look goes back. */
TEST_IN_CHILD(idle_magazines_go_back) {
    unsigned class = size_class(64);
    (void)unused;
    put(0, class, 4);
    depot_trim(0, class); /* they are new */
    CHECK(depot_bytes(class) == (size_t)4 * FULL * 64);
    struct magazine *a = depot_take(0, class, NULL), *b = depot_take(0, class, NULL), *empty;
    CHECK(depot_put(class, b, &empty) && depot_put(class, a, &empty));
    depot_trim(0, class); /* two of four were in use */
    CHECK(depot_bytes(class) == (size_t)2 * FULL * 64);
    trim_all();
    trim_all();
    CHECK(depot_bytes(class) == 0 && mheap_get_stats().in_use == 0);
    check_empty(class);
}

/* No call gives back more than a call may take, and what is left is for the next ones. */
TEST_IN_CHILD(rounds_are_of_several_calls) {
    enum { CLASSES = 6, AT_ONCE = 256, OF_A_DEPOT = 4 };
    size_t full = (size_t)CLASSES * MOST * MAGAZINE_MOST, left = full;
    (void)unused;
    for (unsigned class = 2; class < 2 + CLASSES; class++) {
        struct magazine *empty;
        for (unsigned i = 0; i < MOST; i++) {
            CHECK(depot_put(class, full_magazine(0, class, MAGAZINE_MOST), &empty));
        }
    }
    trim_all(); /* they are new */
    CHECK(objects_in_depots(2, CLASSES) == full);
    depot_begin_trim();
    for (bool more = true; more;) {
        more = depot_trim_some();
        size_t now = objects_in_depots(2, CLASSES);
        CHECK(left - now < AT_ONCE + OF_A_DEPOT * MAGAZINE_MOST && (now < left || !more));
        left = now;
        if (more) {
            depot_begin_trim(); /* one is under way */
        }
    }
    CHECK(left == full / MOST * (MOST - OF_A_DEPOT));
    trim_all();
    CHECK(objects_in_depots(2, CLASSES) == 0);
    check_empty(2);
}

/* Each thread takes from one shard's depot, or makes a magazine of another's objects, and puts it
 * back or gives the objects to their spans. */
static void exchange(unsigned index) {
    unsigned class = size_class(48), shard = index % 2;
    struct magazine *spare = NULL;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct magazine *full = depot_take(shard, class, spare), *empty = NULL;
        if (full != NULL) {
            spare = NULL;
        } else {
            full = full_magazine(1 - shard, class, FULL);
        }
        CHECK(full->count == FULL);
        if (i % 3 == 0 || !depot_put(class, full, &empty)) {
            mcentral_give(class, magazine_lowest(full), FULL, "free");
            magazine_destroy(full);
        }
        if (empty != NULL && spare != NULL) {
            magazine_destroy(empty);
        } else if (empty != NULL) {
            spare = empty;
        }
    }
    if (spare != NULL) {
        magazine_destroy(spare);
    }
}

TEST_IN_CHILD(many_threads) {
    (void)unused;
    run_threads(THREADS, exchange);
    check_empty(size_class(48));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_in_first_out),      cmocka_unit_test(sparse_classes_drain),
        cmocka_unit_test(large_objects),          cmocka_unit_test(shards),
        cmocka_unit_test(idle_magazines_go_back), cmocka_unit_test(rounds_are_of_several_calls),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
