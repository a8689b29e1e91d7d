/* Spans by how many of their objects are free. See spanset.h and README.md. */
#include "spanset.h"

struct span *spanset_next(const struct spanset *set, const struct span *span) {
    if (span != NULL && span->next != NULL) {
        return span->next;
    }
    uint32_t rest = span == NULL ? set->listed : set->listed & (~1u << span->bucket);
    return rest == 0 ? NULL : set->bucket[bits_lowest(rest)];
}

static bool bucket_is_valid(const struct spanset *set, unsigned i) {
    const struct span *prev = NULL;
    bool valid = (set->bucket[i] != NULL) == (set->listed >> i & 1);
    for (const struct span *span = set->bucket[i]; span != NULL; span = span->next) {
        valid &= span_is_valid(span) && span->bucket == i && span->prev == prev && span->free > 0 &&
                 (span->free == span->objects) == (i == SPANSET_EMPTY) &&
                 span->relist_at == spanset_bucket_end(span, i);
        prev = span;
    }
    return valid;
}

static size_t bucket_pages(const struct spanset *set, unsigned i) {
    size_t pages = 0;
    for (const struct span *span = set->bucket[i]; span != NULL; span = span->next) {
        pages += span->pages;
    }
    return pages;
}

bool spanset_is_valid(const struct spanset *set) {
    bool valid = true;
    for (unsigned i = 0; i < SPANSET_BUCKETS; i++) {
        valid &= bucket_is_valid(set, i);
    }
    return valid && bucket_pages(set, SPANSET_DRAINING) == set->draining_pages &&
           bucket_pages(set, SPANSET_EMPTY) == set->empty_pages;
}
