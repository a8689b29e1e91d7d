/* The spans of each class. See mcentral.h and README.md. */
#include "mcentral.h"

#include <string.h>

#include "arena.h"
#include "fatal.h"
#include "lock.h"
#include "mheap.h"

enum { RUN_LEAST = 4 };

/* In pages: from what size on a class and shard keeps empty spans, how much of them, so that giving
 * all of it back at once does not take long, and how much is given back for one span that another
 * class wants, so that it is rare. */
enum { KEEPING_FROM = 16, EMPTY_MOST = 512, RECLAIMED_AT_ONCE = 32 };

/* out == the sum over the class's spans of objects - free. Bit i of listed is set when bucket[i]
 * is not empty. bucket[i] holds spans with free > 0 and span_bucket(span) == i. */
struct mcentral {
    struct lock lock;
    uint32_t listed;
    uint32_t empty_pages;                  /* of the spans in the last bucket */
    struct span *bucket[SPAN_BUCKETS + 1]; /* the last: all of it is free */
    size_t out;
    size_t pages;
    size_t spans;
} __attribute__((aligned(CACHE_LINE)));

static struct mcentral centrals[MCENTRAL_SHARDS][CLASS_COUNT];
static _Atomic unsigned shards_used; /* the shards from this one on have never had a span */
static _Atomic unsigned with_spare;  /* how many mcentrals have empty pages to spare */

static unsigned shard_of_span(const struct span *span) {
    return atomic_load_explicit(&span->shard, memory_order_relaxed);
}

static void set_shard(struct span *span, unsigned shard) {
    atomic_store_explicit(&span->shard, (uint8_t)shard, memory_order_relaxed);
}

static void note_use(unsigned shard) {
    unsigned used = atomic_load_explicit(&shards_used, memory_order_relaxed);
    while (used <= shard &&
           !atomic_compare_exchange_weak_explicit(&shards_used, &used, shard + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

unsigned mcentral_shards(void) {
    return atomic_load_explicit(&shards_used, memory_order_relaxed);
}

/* ---- lists of spans, with the lock held ---- */

/* One empty span is not to spare: a class that comes and goes would go to the heap each time. */
static bool has_spare(uint32_t empty_pages, unsigned class) {
    return empty_pages > class_to_pages[class];
}

static void count_empty_locked(struct mcentral *central, unsigned class, uint32_t pages) {
    bool before = has_spare(central->empty_pages, class), after = has_spare(pages, class);
    if (before != after) {
        atomic_fetch_add_explicit(&with_spare, after ? 1u : -1u, memory_order_relaxed);
    }
    central->empty_pages = pages;
}

static void unlist_locked(struct mcentral *central, struct span *span) {
    unsigned i = span->bucket;
    if (i == SPAN_UNLISTED) {
        return;
    }
    if (span->prev != NULL) {
        span->prev->next = span->next;
    } else {
        central->bucket[i] = span->next;
    }
    if (span->next != NULL) {
        span->next->prev = span->prev;
    }
    if (central->bucket[i] == NULL) {
        central->listed &= ~(1u << i);
    }
    if (i == SPAN_BUCKETS) {
        count_empty_locked(central, span->class, central->empty_pages - span->pages);
    }
    span->bucket = SPAN_UNLISTED;
}

static void list_locked(struct mcentral *central, struct span *span, unsigned i) {
    span->bucket = (uint8_t)i;
    span->prev = NULL;
    span->next = central->bucket[i];
    if (span->next != NULL) {
        span->next->prev = span;
    }
    central->bucket[i] = span;
    central->listed |= 1u << i;
    if (i == SPAN_BUCKETS) {
        count_empty_locked(central, span->class, central->empty_pages + span->pages);
    }
}

static void count_span_locked(struct mcentral *central, const struct span *span) {
    central->pages += span->pages;
    central->spans++;
}

static void uncount_span_locked(struct mcentral *central, const struct span *span) {
    central->pages -= span->pages;
    central->spans--;
}

/* Among several threads, empty spans of a class with many stay, up to a bound. Else nothing would
 * be gained, and only the last stays. */
static bool keeps_empty_locked(const struct mcentral *central, const struct span *span) {
    return __libc_single_threaded || central->pages < KEEPING_FROM
               ? central->listed == 0
               : central->empty_pages + span->pages <= EMPTY_MOST;
}

/* Puts a span where its number of free objects wants it. An empty one that does not stay goes on
 * the list *empty, for the caller to free without the lock. */
static void relist_locked(struct mcentral *central, struct span *span, struct span **empty) {
    unsigned bucket = span->free == 0 ? SPAN_UNLISTED : span_bucket(span);
    if (bucket == span->bucket) {
        return;
    }
    unlist_locked(central, span);
    if (bucket == SPAN_BUCKETS && !keeps_empty_locked(central, span)) {
        uncount_span_locked(central, span);
        span->next = *empty;
        *empty = span;
    } else if (bucket != SPAN_UNLISTED) {
        list_locked(central, span, bucket);
    }
}

static void free_spans(struct span *empty) {
    while (empty != NULL) {
        struct span *next = empty->next;
        mheap_free(empty);
        empty = next;
    }
}

/* ---- taking ---- */

/* A class that holds much gets longer spans, up to 64 objects or 64 KiB. Small objects stay in the
 * shortest spans: one that lives on would keep all pages of its span from every other class. */
static size_t span_pages(unsigned class, size_t class_bytes) {
    size_t base = class_to_pages[class];
    size_t most = class_bytes >= 512 * KIB ? 64 * KIB : class_bytes >= 64 * KIB ? 32 * KIB : 0;
    size_t bytes = min_size(most, 64 * (size_t)class_to_size[class]);
    return max_size(bytes / (base << PAGE_SHIFT), 1) * base;
}

static struct span *fullest_locked(const struct mcentral *central) {
    return central->listed == 0 ? NULL : central->bucket[bits_lowest(central->listed)];
}

/* A guess, without the lock: does it have a span that is half empty or more? */
__attribute__((no_sanitize("thread"))) static bool has_emptier(const struct mcentral *central) {
    return *(const volatile uint32_t *)&central->listed >> (SPAN_BUCKETS / 2) != 0;
}

/* Before the heap is asked for more: the emptiest span of the first other shard that has one which
 * is at least half empty becomes ours. With `central` locked no other lock is waited for. */
static struct span *move_span_locked(struct mcentral *central, unsigned shard, unsigned class) {
    for (unsigned i = 0; i < mcentral_shards(); i++) {
        struct mcentral *other = &centrals[i][class];
        if (i == shard || !has_emptier(other) || !lock_try(&other->lock)) {
            continue;
        }
        struct span *span = NULL;
        if (has_emptier(other)) {
            span = other->bucket[WORD_BITS / 2 - 1 - (unsigned)__builtin_clz(other->listed)];
            unlist_locked(other, span);
            uncount_span_locked(other, span);
            other->out -= span->objects - span->free;
            central->out += span->objects - span->free;
            count_span_locked(central, span);
            set_shard(span, shard);
        }
        lock_release(&other->lock);
        if (span != NULL) {
            return span;
        }
    }
    return NULL;
}

/* Takes empty spans out of a class, down to so many pages, and puts them on the list. Returns their
 * pages. */
static size_t take_empty_locked(struct mcentral *central, size_t keep, struct span **empty) {
    size_t before = central->empty_pages;
    while (central->empty_pages > keep) {
        struct span *span = central->bucket[SPAN_BUCKETS];
        unlist_locked(central, span);
        uncount_span_locked(central, span);
        span->next = *empty;
        *empty = span;
    }
    return before - central->empty_pages;
}

/* A guess, without the lock. */
__attribute__((no_sanitize("thread"))) static uint32_t guess_empty(const struct mcentral *central) {
    return *(const volatile uint32_t *)&central->empty_pages;
}

void mcentral_reclaim(size_t pages) {
    struct span *empty = NULL;
    size_t got = 0;
    if (atomic_load_explicit(&with_spare, memory_order_relaxed) == 0) {
        return;
    }
    for (unsigned i = 0; got < pages && i < mcentral_shards() * CLASS_COUNT; i++) {
        struct mcentral *central = &centrals[i / CLASS_COUNT][i % CLASS_COUNT];
        size_t least = class_to_pages[i % CLASS_COUNT];
        if (guess_empty(central) > least && lock_try(&central->lock)) {
            size_t more = min_size(pages - got, central->empty_pages);
            got += take_empty_locked(central, max_size(central->empty_pages - more, least), &empty);
            lock_release(&central->lock);
        }
    }
    free_spans(empty);
}

static struct span *new_span_locked(struct mcentral *central, unsigned shard, unsigned class,
                                    enum mheap_pages which) {
    size_t least = class_to_pages[class], most = span_pages(class, central->pages << PAGE_SHIFT);
    struct span *span = mheap_alloc_small(class, least, most, which);
    if (span != NULL) {
        set_shard(span, shard);
        count_span_locked(central, span);
    }
    return span;
}

/* Memory that nobody holds comes first, then what other shards of the class have to spare, then
 * other classes, and what was never in use last. With `central` locked no other lock is waited
 * for. */
static struct span *add_span_locked(struct mcentral *central, unsigned shard, unsigned class) {
    note_use(shard);
    struct span *span = new_span_locked(central, shard, class, MHEAP_BACKED);
    span = span != NULL ? span : move_span_locked(central, shard, class);
    if (span == NULL) {
        mcentral_reclaim(RECLAIMED_AT_ONCE);
        span = new_span_locked(central, shard, class, MHEAP_ANY);
    }
    return span;
}

/* Of a word of bits those that lie in whole free pairs of cache lines, if there are any: what a
 * thread gets must not share a line with objects that another one writes to. */
static uint64_t apart(uint64_t word, size_t size) {
    bool fits = is_power_of_two(size) && size < 2 * CACHE_LINE;
    unsigned group = fits ? (unsigned)(2 * CACHE_LINE / size) : 1;
    uint64_t starts = bits_runs(word, group) & (~UINT64_C(0) / bits_mask(0, group));
    return starts != 0 ? starts * bits_mask(0, group) : word;
}

/* Takes up to `want` of the objects whose bits are set in *word, which is not 0, the lowest first;
 * `first` is the address of bit 0's. Mostly the bits are one run, as in a new span. */
static unsigned take_from_word(uint64_t *word, uintptr_t first, size_t size, void **end,
                               unsigned want) {
    uint64_t rest = *word;
    unsigned low = bits_lowest(rest), run = bits_trailing_ones(rest >> low);
    void **slot = end;
    if ((rest & (rest + (UINT64_C(1) << low))) == 0) {
        unsigned n = (unsigned)min_size(run, want);
        for (uintptr_t address = first + low * size; slot > end - n; address += size) {
            *--slot = (void *)address;
        }
        *word = rest & ~bits_mask(low, n);
        return n;
    }
    for (; rest != 0 && slot > end - want; rest &= rest - 1) {
        *--slot = (void *)(first + bits_lowest(rest) * size);
    }
    *word = rest;
    return (unsigned)(end - slot);
}

static unsigned take_from_span(struct span *span, void **end, unsigned want, bool few) {
    size_t size = class_to_size[span->class];
    unsigned got = 0, w = span->first_word;
    want = (unsigned)min_size(want, span->free);
    while (got < want) {
        uint64_t word = few ? apart(span->bits[w], size) : span->bits[w];
        uint64_t rest = span->bits[w] ^ word;
        if (word != 0) {
            uintptr_t first = span->base + w * WORD_BITS * size;
            got += take_from_word(&word, first, size, end - got, want - got);
        }
        span->bits[w] = rest | word;
        w += span->bits[w] == 0;
    }
    span->first_word = (uint8_t)w;
    span->free = (uint16_t)(span->free - got);
    return got;
}

/* Several spans may be needed to fill a magazine, since the fullest come first; a new one is added
 * only when there is nothing else. */
unsigned mcentral_take(unsigned shard, unsigned class, void **end, unsigned want) {
    struct mcentral *central = &centrals[shard][class];
    struct span *empty = NULL;
    unsigned got = 0;
    bool few = !__libc_single_threaded && want * class_to_size[class] <= 4 * CACHE_LINE;
    lock_acquire(&central->lock);
    while (got < want) {
        struct span *span = fullest_locked(central);
        if (span == NULL && got == 0) {
            span = add_span_locked(central, shard, class);
        }
        if (span == NULL) {
            break;
        }
        got += take_from_span(span, end - got, want - got, few);
        relist_locked(central, span, &empty);
    }
    central->out += got;
    lock_release(&central->lock);
    return got;
}

/* ---- giving ---- */

static void fail_give(unsigned class, const struct span *span, void *object, const char *call) {
    uintptr_t address = (uintptr_t)object;
    if (span == NULL || span->class != class || span_is_object(span, address)) {
        fatal_misuse(call, object, "double free of a %u-byte object", class_to_size[class]);
    }
    fatal_misuse(call, object, "pointer into the middle of a %u-byte object that starts at %p",
                 class_to_size[class], (void *)span_object(span, span_index(span, address)));
}

/* Sets n bits from `first` on; false and nothing changed: one was set already. */
static bool set_run_locked(struct span *span, uint32_t first, unsigned n) {
    unsigned w = first / WORD_BITS, bit = first % WORD_BITS;
    unsigned part = (unsigned)min_size(n, WORD_BITS - bit);
    uint64_t low = bits_mask(bit, part), high = n > part ? bits_mask(0, n - part) : 0;
    if ((span->bits[w] & low) != 0 || (high != 0 && (span->bits[w + 1] & high) != 0)) {
        return false;
    }
    span->bits[w] |= low;
    if (high != 0) {
        span->bits[w + 1] |= high;
    }
    return true;
}

static_assert((int)MAGAZINE_MOST <= (int)WORD_BITS, "a run lies in two words");

/* How many objects from the first on are neighbours, each `stride` behind the one before. */
static unsigned count_run(void *const *objects, unsigned n, size_t stride) {
    unsigned run = 1;
    while (run < n && (uintptr_t)objects[run] - (uintptr_t)objects[run - 1] == stride) {
        run++;
    }
    return run;
}

/* Objects that were allocated in a row are often freed in a row, forwards or backwards: their bits
 * are set together. Returns how many there are, 0 where it is not worth it. */
static unsigned give_run_locked(struct mcentral *central, struct span *span, void *const *objects,
                                unsigned n, size_t size, struct span **empty) {
    size_t stride = (uintptr_t)objects[1] - (uintptr_t)objects[0];
    size_t offset = (uintptr_t)objects[0] - span->base;
    uint32_t index = object_index(span->magic, offset);
    unsigned run, room;
    if (stride == size) {
        room = span->objects - index;
    } else if (stride == -size) {
        room = index + 1;
    } else {
        return 0;
    }
    run = count_run(objects, (unsigned)min_size(n, room), stride);
    if (index * size != offset || index >= span->objects || run < RUN_LEAST) {
        return 0;
    }
    uint32_t first = stride == size ? index : index - (run - 1);
    if (!set_run_locked(span, first, run)) {
        return 0;
    }
    span->first_word = (uint8_t)min_size(span->first_word, first / WORD_BITS);
    span->free = (uint16_t)(span->free + run);
    relist_locked(central, span, empty);
    return run;
}

/* Sets the object's bit. False: it is free already, or no object. No branch here depends on the
 * order of the objects: guessing it wrong costs more than all the rest. */
ALWAYS_INLINE bool give_one_locked(struct mcentral *central, struct span *span, uintptr_t address,
                                   size_t size, struct span **empty) {
    size_t offset = address - span->base;
    uint32_t index = object_index(span->magic, offset);
    if (UNLIKELY(index * size != offset || index >= span->objects)) {
        return false;
    }
    unsigned w = index / WORD_BITS;
    uint64_t word = span->bits[w], bit = UINT64_C(1) << (index % WORD_BITS);
    if (UNLIKELY(word & bit)) {
        return false;
    }
    span->bits[w] = word | bit;
    span->first_word = w < span->first_word ? (uint8_t)w : span->first_word;
    span->free++;
    if (UNLIKELY(span_bucket(span) != span->bucket)) {
        relist_locked(central, span, empty);
    }
    return true;
}

/* Gives the objects of one shard back. Those of others are put aside in `rest`, which may be where
 * the objects are; returns how many. A span that is gone, or has another class by now, was emptied
 * by the first of two frees. */
static unsigned give_to_shard(unsigned shard, unsigned class, void *const *objects, unsigned n,
                              void **rest, const char *call) {
    struct mcentral *central = &centrals[shard][class];
    struct span *span = NULL, *empty = NULL;
    size_t size = class_to_size[class];
    unsigned i = 0, aside = 0, run = n > RUN_LEAST ? 1 : 0;
    lock_acquire(&central->lock);
    while (i < n) {
        uintptr_t address = (uintptr_t)objects[i];
        span = arena_span(address);
        if (UNLIKELY(span == NULL || span->class != class)) {
            break;
        }
        if (UNLIKELY(shard_of_span(span) != shard)) {
            rest[aside++] = objects[i++];
            continue;
        }
        run = run > 0 && i + 1 < n
                  ? give_run_locked(central, span, &objects[i], n - i, size, &empty)
                  : 0;
        if (run == 0 && !give_one_locked(central, span, address, size, &empty)) {
            break;
        }
        i += run > 0 ? run : 1;
    }
    central->out -= i - aside;
    lock_release(&central->lock);
    free_spans(empty);
    if (i < n) {
        fail_give(class, span, objects[i], call);
    }
    return aside;
}

unsigned mcentral_shard_of(const void *object) {
    const struct span *span = arena_span((uintptr_t)object);
    return span != NULL ? shard_of_span(span) : 0;
}

void mcentral_give(unsigned class, void *const *objects, unsigned n, const char *call) {
    void *rest[MAGAZINE_MOST];
    while (n > 0) {
        n = give_to_shard(mcentral_shard_of(objects[0]), class, objects, n, rest, call);
        objects = rest;
    }
}

void mcentral_trim(unsigned shard, unsigned class) {
    struct mcentral *central = &centrals[shard][class];
    struct span *empty = NULL;
    if (guess_empty(central) == 0) {
        return;
    }
    lock_acquire(&central->lock);
    take_empty_locked(central, 0, &empty);
    lock_release(&central->lock);
    free_spans(empty);
}

/* ---- statistics, fork, checks ---- */

static void *find_free_in_span(const struct span *span, bool (*wanted)(const void *object)) {
    for (uint32_t i = 0; i < span->objects; i++) {
        void *object = (void *)span_object(span, i);
        if (span_object_is_free(span, i) && wanted(object)) {
            return object;
        }
    }
    return NULL;
}

void *mcentral_find_free(bool (*wanted)(const void *object)) {
    void *found = NULL;
    for (unsigned i = 0; found == NULL && i < mcentral_shards() * CLASS_COUNT; i++) {
        struct mcentral *central = &centrals[i / CLASS_COUNT][i % CLASS_COUNT];
        lock_acquire(&central->lock);
        for (unsigned bucket = 0; bucket <= SPAN_BUCKETS; bucket++) {
            struct span *span = central->bucket[bucket];
            for (; found == NULL && span != NULL; span = span->next) {
                found = find_free_in_span(span, wanted);
            }
        }
        lock_release(&central->lock);
    }
    return found;
}

static void add_stats(struct mcentral *central, struct mcentral_stats *stats, size_t size) {
    lock_acquire(&central->lock);
    stats->out += central->out * size;
    stats->spans += central->pages << PAGE_SHIFT;
    stats->span_count += central->spans;
    lock_release(&central->lock);
}

struct mcentral_stats mcentral_get_stats(unsigned class) {
    struct mcentral_stats stats = {0};
    for (unsigned shard = 0; shard < MCENTRAL_SHARDS; shard++) {
        add_stats(&centrals[shard][class], &stats, class_to_size[class]);
    }
    return stats;
}

/* The first word that is not 0, and the count of ones, from the bits themselves. */
static void recount(struct span *span) {
    span->free = 0;
    span->first_word = 0;
    for (unsigned w = span_words(span); w-- > 0;) {
        span->free = (uint16_t)(span->free + bits_count(span->bits[w]));
        span->first_word = span->bits[w] != 0 ? (uint8_t)w : span->first_word;
    }
}

/* Empty ones, too: the lock of the heap may be held by the frame that this process's only thread
 * was interrupted in. */
static void adopt_locked(struct mcentral *central, struct span *span) {
    recount(span);
    count_span_locked(central, span);
    central->out += span->objects - span->free;
    span->bucket = SPAN_UNLISTED;
    if (span->free > 0) {
        list_locked(central, span, span_bucket(span));
    }
}

/* Lists the spans of a class anew, from the page tables and the bits. */
static void rebuild(unsigned shard, unsigned class) {
    struct mcentral *central = &centrals[shard][class];
    memset(central->bucket, 0, sizeof central->bucket);
    central->listed = central->empty_pages = 0;
    central->out = central->pages = central->spans = 0;
    for (struct span *span = NULL; (span = arena_next_span(span)) != NULL;) {
        if (span->class == class && shard_of_span(span) == shard) {
            adopt_locked(central, span);
        }
    }
}

static void recount_with_spare(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < MCENTRAL_SHARDS * CLASS_COUNT; i++) {
        unsigned class = i % CLASS_COUNT;
        count += has_spare(centrals[i / CLASS_COUNT][class].empty_pages, class);
    }
    atomic_store_explicit(&with_spare, count, memory_order_relaxed);
}

void mcentral_reset_in_child(void) {
    for (unsigned i = 0; i < MCENTRAL_SHARDS * CLASS_COUNT; i++) {
        unsigned shard = i / CLASS_COUNT, class = i % CLASS_COUNT;
        if (lock_reset_in_child(&centrals[shard][class].lock)) {
            rebuild(shard, class);
        }
    }
    recount_with_spare();
}

static bool is_valid_locked(const struct mcentral *central) {
    bool valid = true;
    size_t empty_pages = 0;
    for (unsigned i = 0; i <= SPAN_BUCKETS; i++) {
        valid &= (central->bucket[i] != NULL) == (central->listed >> i & 1);
        for (struct span *span = central->bucket[i]; span != NULL; span = span->next) {
            empty_pages += i == SPAN_BUCKETS ? span->pages : 0;
            valid &= span_is_valid(span) && span->bucket == i && span->free > 0 &&
                     (span->free == span->objects) == (i == SPAN_BUCKETS);
        }
    }
    return valid && empty_pages == central->empty_pages;
}

bool mcentral_is_valid(unsigned class) {
    bool valid = true;
    for (unsigned shard = 0; shard < MCENTRAL_SHARDS; shard++) {
        struct mcentral *central = &centrals[shard][class];
        lock_acquire(&central->lock);
        valid &= is_valid_locked(central);
        lock_release(&central->lock);
    }
    return valid;
}
