/* Depots and spans of each class. See mcentral.h and README.md. */
#include "mcentral.h"

#include <string.h>

#include "arena.h"
#include "fatal.h"
#include "lock.h"
#include "mheap.h"

enum { BUCKETS = 8, DEPOT_MOST = 16 };

/* What a depot may hold of a class with large magazines: its objects keep their spans from the
 * other classes. */
#define DEPOT_BYTES (64 * KIB)

/* out == the sum over the class's spans of objects - free. Bit i of listed is set when bucket[i]
 * is not empty. bucket[i] holds spans with 0 < free < objects and free * 8 / objects == i. */
struct mcentral {
    struct lock lock;
    uint32_t listed;
    uint32_t depot_count;
    struct magazine *depot;
    struct magazine *empties; /* empty magazines, left where full ones were taken */
    struct span *bucket[BUCKETS];
    struct span *reserve; /* one span with all objects free, or NULL */
    size_t out;
    size_t pages;
    size_t spans;
} __attribute__((aligned(CACHE_LINE)));

static struct mcentral centrals[CLASS_COUNT];

/* ---- lists of spans, with the lock held ---- */

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
}

/* Puts a span where its number of free objects wants it. An empty one beyond the reserve leaves the
 * class: it goes on the list *empty, for the caller to free without the lock. */
static void relist_locked(struct mcentral *central, struct span *span, struct span **empty) {
    if (span->free == span->objects) {
        unlist_locked(central, span);
        if (central->reserve == NULL) {
            central->reserve = span;
            return;
        }
        central->pages -= span->pages;
        central->spans--;
        span->next = *empty;
        *empty = span;
        return;
    }
    unsigned bucket = span->free == 0 ? SPAN_UNLISTED : span->free * BUCKETS / span->objects;
    if (bucket != span->bucket) {
        unlist_locked(central, span);
        if (bucket != SPAN_UNLISTED) {
            list_locked(central, span, bucket);
        }
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

/* A class that holds much gets longer spans, up to 16 objects or 64 KiB. Small objects stay in the
 * shortest spans: one that lives on would keep all pages of its span from every other class. */
static size_t span_pages(unsigned class, size_t class_bytes) {
    size_t base = class_to_pages[class];
    size_t most = class_bytes >= 512 * KIB ? 64 * KIB : class_bytes >= 64 * KIB ? 32 * KIB : 0;
    size_t bytes = min_size(most, 16 * (size_t)class_to_size[class]);
    return max_size(bytes / (base << PAGE_SHIFT), 1) * base;
}

static struct span *add_span_locked(struct mcentral *central, unsigned class) {
    size_t most = span_pages(class, central->pages << PAGE_SHIFT);
    struct span *span = mheap_alloc_small(class, class_to_pages[class], most);
    if (span != NULL) {
        central->pages += span->pages;
        central->spans++;
    }
    return span;
}

static struct span *fullest_locked(struct mcentral *central) {
    if (central->listed != 0) {
        return central->bucket[bits_lowest(central->listed)];
    }
    struct span *span = central->reserve;
    central->reserve = NULL;
    return span;
}

static unsigned take_from_span(struct span *span, void **end, unsigned want) {
    size_t size = class_to_size[span->class];
    unsigned got = 0, w = span->first_word;
    want = (unsigned)min_size(want, span->free);
    while (got < want) {
        uint64_t word = span->bits[w];
        uintptr_t first = span->base + w * WORD_BITS * size;
        for (; word != 0 && got < want; word &= word - 1) {
            end[-1 - (int)got++] = (void *)(first + bits_lowest(word) * size);
        }
        span->bits[w] = word;
        w += word == 0;
    }
    span->first_word = w;
    span->free -= got;
    return got;
}

/* Several spans may be needed to fill a magazine, since the fullest come first; a new one is added
 * only when there is nothing else. */
unsigned mcentral_take(unsigned class, void **end, unsigned want) {
    struct mcentral *central = &centrals[class];
    struct span *empty = NULL;
    unsigned got = 0;
    lock_acquire(&central->lock);
    while (got < want) {
        struct span *span = fullest_locked(central);
        if (span == NULL && got == 0) {
            span = add_span_locked(central, class);
        }
        if (span == NULL) {
            break;
        }
        got += take_from_span(span, end - got, want - got);
        relist_locked(central, span, &empty);
    }
    central->out += got;
    lock_release(&central->lock);
    return got;
}

/* ---- giving ---- */

struct spot {
    struct span *span;
    uint32_t index;
};

static void fail_double_free(unsigned class, void *object, const char *call) {
    fatal_misuse(call, object, "double free of a %u-byte object", class_to_size[class]);
}

/* Reads only what cannot change while an object is out, so it needs no lock. A span that is gone,
 * or has another class by now, was emptied by the first of two frees. */
static struct spot find_spot(unsigned class, void *object, const char *call) {
    uintptr_t address = (uintptr_t)object;
    struct span *span = arena_span(address);
    if (span == NULL || span->class != class) {
        fail_double_free(class, object, call);
    }
    uint32_t index = span_index(span, address);
    if (span_object(span, index) != address || index >= span->objects) {
        fatal_misuse(call, object, "pointer into the middle of a %u-byte object that starts at %p",
                     class_to_size[class], (void *)span_object(span, index));
    }
    return (struct spot){span, index};
}

/* Sets the bits of the spots that follow one another in one word of one span. Returns how many; an
 * object that was free already ends the run, and *twice is true. */
static unsigned give_word_locked(const struct spot *spot, unsigned n, bool *twice) {
    struct span *span = spot->span;
    unsigned w = spot->index / WORD_BITS, i = 0;
    uint64_t word = span->bits[w];
    for (; i < n && spot[i].span == span && spot[i].index / WORD_BITS == w; i++) {
        uint64_t bit = UINT64_C(1) << (spot[i].index % WORD_BITS);
        if (word & bit) {
            *twice = true;
            break;
        }
        word |= bit;
    }
    span->bits[w] = word;
    span->free += i;
    span->first_word = (uint32_t)min_size(span->first_word, w);
    return i;
}

void mcentral_give(unsigned class, void *const *objects, unsigned n, const char *call) {
    struct mcentral *central = &centrals[class];
    struct spot spots[MAGAZINE_MOST];
    struct span *empty = NULL;
    bool twice = false;
    unsigned given = 0;
    for (unsigned i = 0; i < n; i++) {
        spots[i] = find_spot(class, objects[i], call);
    }
    lock_acquire(&central->lock);
    while (given < n && !twice) {
        struct span *span = spots[given].span;
        given += give_word_locked(&spots[given], n - given, &twice);
        if (given == n || spots[given].span != span) {
            relist_locked(central, span, &empty);
        }
    }
    central->out -= given;
    lock_release(&central->lock);
    free_spans(empty);
    if (twice) {
        fail_double_free(class, objects[given], call);
    }
}

/* ---- the depot ---- */

struct magazine *mcentral_exchange_for_full(unsigned class, struct magazine *empty) {
    struct mcentral *central = &centrals[class];
    lock_acquire(&central->lock);
    struct magazine *full = central->depot;
    if (full != NULL) {
        central->depot = full->next;
        central->depot_count--;
        if (empty != NULL) {
            empty->next = central->empties;
            central->empties = empty;
        }
    }
    lock_release(&central->lock);
    return full;
}

/* Two in any case, for the exchange; then up to 16, or as many full ones as the bytes allow. */
static bool has_room_locked(const struct mcentral *central, unsigned class) {
    size_t size = class_to_size[class], magazine = magazine_capacity_most(size) * size;
    return central->depot_count < max_size(2, min_size(DEPOT_MOST, DEPOT_BYTES / magazine));
}

bool mcentral_exchange_for_empty(unsigned class, struct magazine *full, struct magazine **empty) {
    struct mcentral *central = &centrals[class];
    *empty = NULL;
    lock_acquire(&central->lock);
    bool room = has_room_locked(central, class);
    if (room) {
        full->next = central->depot;
        central->depot = full;
        central->depot_count++;
        *empty = central->empties;
        if (*empty != NULL) {
            central->empties = (*empty)->next;
        }
    }
    lock_release(&central->lock);
    return room;
}

static struct span *take_reserve(struct mcentral *central) {
    lock_acquire(&central->lock);
    struct span *span = central->reserve;
    central->reserve = NULL;
    if (span != NULL) {
        span->next = NULL;
        central->pages -= span->pages;
        central->spans--;
    }
    lock_release(&central->lock);
    return span;
}

static void destroy_empties(struct mcentral *central) {
    lock_acquire(&central->lock);
    struct magazine *empty = central->empties;
    central->empties = NULL;
    lock_release(&central->lock);
    while (empty != NULL) {
        struct magazine *next = empty->next;
        magazine_destroy(empty);
        empty = next;
    }
}

void mcentral_release(void) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct magazine *full;
        while ((full = mcentral_exchange_for_full(class, NULL)) != NULL) {
            mcentral_give(class, magazine_lowest(full), full->count, "free");
            magazine_destroy(full);
        }
        destroy_empties(&centrals[class]);
        free_spans(take_reserve(&centrals[class]));
    }
}

/* ---- statistics, fork, checks ---- */

struct mcentral_stats mcentral_get_stats(unsigned class) {
    struct mcentral *central = &centrals[class];
    struct mcentral_stats stats;
    size_t depot = 0;
    lock_acquire(&central->lock);
    for (struct magazine *full = central->depot; full != NULL; full = full->next) {
        depot += full->count;
    }
    stats.out = central->out * class_to_size[class];
    stats.spans = central->pages << PAGE_SHIFT;
    stats.span_count = central->spans;
    lock_release(&central->lock);
    stats.depot = depot * class_to_size[class];
    return stats;
}

/* The first word that is not 0, and the count of ones, from the bits themselves. */
static void recount(struct span *span) {
    span->free = 0;
    span->first_word = 0;
    for (unsigned w = span_words(span); w-- > 0;) {
        span->free += bits_count(span->bits[w]);
        span->first_word = span->bits[w] != 0 ? w : span->first_word;
    }
}

static void adopt(struct mcentral *central, struct span *span, struct span **empty) {
    recount(span);
    span->bucket = SPAN_UNLISTED;
    central->pages += span->pages;
    central->spans++;
    central->out += span->objects - span->free;
    relist_locked(central, span, empty);
}

/* Lists the spans of a class anew, from the page tables and the bits. The magazines stay: their
 * lists change by single stores. */
static void rebuild(unsigned class) {
    struct mcentral *central = &centrals[class];
    struct span *empty = NULL;
    memset(central->bucket, 0, sizeof central->bucket);
    central->listed = 0;
    central->reserve = NULL;
    central->out = central->pages = central->spans = 0;
    for (unsigned a = 0; a < arena_count(); a++) {
        struct arena *arena = &arenas[a];
        size_t pages = arena_opened(arena) >> PAGE_SHIFT;
        for (size_t page = 0; page < pages; page++) {
            struct span *span = arena->page_span[page];
            if (span != NULL && span->class == class && arena_page(arena, span->base) == page) {
                adopt(central, span, &empty);
            }
        }
    }
    central->depot_count = 0;
    for (struct magazine *full = central->depot; full != NULL; full = full->next) {
        central->depot_count++;
    }
    free_spans(empty);
}

void mcentral_reset_in_child(void) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        if (lock_reset_in_child(&centrals[class].lock)) {
            rebuild(class);
        }
    }
}

bool mcentral_is_valid(unsigned class) {
    struct mcentral *central = &centrals[class];
    bool valid = true;
    lock_acquire(&central->lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        valid &= (central->bucket[i] != NULL) == (central->listed >> i & 1);
        for (struct span *span = central->bucket[i]; span != NULL; span = span->next) {
            valid &= span_is_valid(span) && span->bucket == i && span->free > 0 &&
                     span->free < span->objects;
        }
    }
    valid &= central->reserve == NULL || central->reserve->free == central->reserve->objects;
    lock_release(&central->lock);
    return valid;
}
