/* Draining spans, and pages given back inside of spans. See sparse.h and README.md. */
#include "sparse.h"

#include "arena.h"
#include "mcentral_struct.h"
#include "scavenge.h"

/* In pages, from what size on a class and shard may be sparse, and from what size on pages of what
 * drains are worth a system call each, which interrupts the other threads where there are some; and
 * how many spans begin to drain at once. */
enum { SPARSE_FROM = 16, PUNCHED_FROM = 128, PUNCHED_FROM_THREADS = 512, DRAINED_AT_ONCE = 256 };

/* A lock is held for so many spans of a walk at a time; and how much one call of sparse_punch_idle
 * does, so that it does not take long. */
enum { SPANS_AT_ONCE = 16, TURNS_AT_ONCE = 4 };
#define PUNCHED_AT_ONCE (64 * KIB)

/* The walk through all sparse classes and shards for idle pages. */
static struct {
    struct lock lock; /* also guards where walks are in the sets */
    unsigned left;    /* classes and shards to come, from the last down to the first */
    bool inside;      /* the walk is in the middle of that one's spans */
    unsigned period;  /* when it began */
} walk = {.lock = LOCK_INIT};

__attribute__((no_sanitize("thread"))) bool sparse_is(unsigned shard, unsigned class) {
    const volatile struct mcentral *central = &mcentrals[shard][class];
    size_t pages = central->pages - central->set.empty_pages - central->set.draining_pages;
    size_t out = central->out * class_to_size[class];
    return pages >= SPARSE_FROM && out + out / 8 < pages << PAGE_SHIFT;
}

void sparse_punch_locked(const struct mcentral *central, struct span *span) {
    size_t from = __libc_single_threaded ? PUNCHED_FROM : PUNCHED_FROM_THREADS;
    if (central->pages >= from) {
        span_punch(span);
    }
}

static bool drain_shard(unsigned shard, unsigned class) {
    struct mcentral *central = &mcentrals[shard][class];
    unsigned n = 0;
    if (!lock_try(&central->lock)) {
        return false;
    }
    for (; n < DRAINED_AT_ONCE && sparse_is(shard, class); n++) {
        struct span *span = spanset_emptiest(&central->set, SPANSET_EMPTY);
        if (span == NULL) {
            break;
        }
        spanset_remove(&central->set, span);
        spanset_add(&central->set, span, SPANSET_DRAINING);
        arena_set_class(span, 0);
    }
    lock_release(&central->lock);
    return n > 0;
}

bool sparse_drain(unsigned class) {
    bool began = false;
    for (unsigned shard = 0; shard < mcentral_shards(); shard++) {
        if (sparse_is(shard, class)) {
            began |= drain_shard(shard, class);
        }
    }
    return began;
}

static size_t punch_some_locked(struct mcentral *central, size_t (*punch)(struct span *span)) {
    size_t punched = 0;
    struct span *span;
    for (unsigned n = 0; n < SPANS_AT_ONCE && (span = spanset_walk(&central->set)) != NULL; n++) {
        punched += punch(span);
    }
    return punched;
}

static size_t punch_class(struct mcentral *central) {
    size_t punched = 0;
    lock_acquire(&central->lock);
    spanset_begin_walk(&central->set);
    while (central->set.cursor != NULL) {
        punched += punch_some_locked(central, span_punch);
        lock_release(&central->lock);
        lock_acquire(&central->lock);
    }
    lock_release(&central->lock);
    return punched;
}

size_t sparse_punch_all(void) {
    size_t punched = 0;
    lock_acquire(&walk.lock);
    for (unsigned i = 0; i < mcentral_shards() * CLASS_COUNT; i++) {
        punched += punch_class(&mcentrals[i / CLASS_COUNT][i % CLASS_COUNT]);
    }
    lock_release(&walk.lock);
    return punched;
}

/* ---- what is idle ---- */

/* Of what drains, nothing may have come back since it began to. */
__attribute__((no_sanitize("thread"))) static bool is_worth_a_walk(unsigned i) {
    const volatile struct mcentral *central = &mcentrals[i / CLASS_COUNT][i % CLASS_COUNT];
    return central->set.draining_pages > 0 || sparse_is(i / CLASS_COUNT, i % CLASS_COUNT);
}

/* To the next one, unless the walk is inside of one. */
static bool find_next_locked(void) {
    while (!walk.inside && walk.left > 0 && !is_worth_a_walk(walk.left - 1)) {
        walk.left--;
    }
    return walk.left > 0;
}

static size_t walk_on_locked(void) {
    struct mcentral *central =
        &mcentrals[(walk.left - 1) / CLASS_COUNT][(walk.left - 1) % CLASS_COUNT];
    if (!lock_try(&central->lock)) {
        return 0;
    }
    if (!walk.inside) {
        spanset_begin_walk(&central->set);
    }
    size_t punched = punch_some_locked(central, span_punch_idle);
    walk.inside = central->set.cursor != NULL;
    walk.left -= !walk.inside;
    lock_release(&central->lock);
    return punched;
}

bool sparse_punch_idle(void) {
    if (!lock_try(&walk.lock)) {
        return false;
    }
    if (walk.left == 0 && walk.period != scavenge_periods() && span_may_punch()) {
        walk.period = scavenge_periods();
        walk.left = mcentral_shards() * CLASS_COUNT;
    }
    size_t punched = 0;
    for (unsigned n = 0; n < TURNS_AT_ONCE && punched < PUNCHED_AT_ONCE && find_next_locked();
         n++) {
        punched += walk_on_locked();
    }
    bool more = walk.left > 0;
    lock_release(&walk.lock);
    return more;
}

void sparse_reset_in_child(void) {
    if (lock_reset_in_child(&walk.lock)) {
        walk.left = 0;
        walk.inside = false;
    }
}
