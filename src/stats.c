/* Statistics. See stats.h and README.md. */
#include "stats.h"

#include "alloc.h"
#include "arena.h"
#include "guard.h"
#include "largecache.h"
#include "mcentral.h"
#include "mheap.h"
#include "persistent.h"
#include "print.h"
#include "quarantine.h"
#include "registry.h"
#include "stackpool.h"
#include "thread.h"

static size_t minus(size_t a, size_t b) {
    return a > b ? a - b : 0; /* snapshots of different moments */
}

/* What is in threads' caches is out of the pools. */
static void read_stacks(struct goalloc_stack_stats *out) {
    struct stackpool_stats pools = stackpool_get_stats();
    size_t cached_bytes, cached = registry_total_stacks(&cached_bytes);
    cached = min_size(cached, pools.out);
    cached_bytes = min_size(cached_bytes, pools.out_bytes);
    *out = (struct goalloc_stack_stats){
        .stacks = pools.out - cached,
        .bytes = pools.out_bytes - cached_bytes,
        .free_stacks = pools.free + cached,
        .free_bytes = pools.free_bytes + cached_bytes,
        .guards = pools.guards,
        .guards_most = pools.guards_most,
    };
}

/* With the blocks that are kept among the free pages. */
static struct mheap_stats heap_stats(void) {
    size_t blocks, leads, kept = largecache_bytes(&blocks, &leads);
    struct registry_large own = registry_total_large();
    struct mheap_stats stats = mheap_get_stats();
    kept += own.bytes;
    stats.in_use = minus(stats.in_use, kept);
    stats.large = minus(stats.large, kept - leads - own.leads);
    stats.large_blocks = minus(stats.large_blocks, blocks + own.blocks);
    stats.free_dirty += kept;
    return stats;
}

/* The modules' counts. Their locks are only taken where a signal handler that allocates knows of
 * it; in a handler that interrupted the heap all is 0. */
static struct mheap_stats read_heap(void) {
    struct mheap_stats stats = {0};
    if (thread_enter_without_cache()) {
        stats = heap_stats();
        alloc_leave();
    }
    return stats;
}

static struct mcentral_stats read_class(unsigned class) {
    struct mcentral_stats stats = {0};
    if (thread_enter_without_cache()) {
        stats = mcentral_get_stats(class);
        alloc_leave();
    }
    return stats;
}

static void read_all(struct goalloc_stats *out) {
    struct mheap_stats heap = heap_stats();
    struct goalloc_stack_stats stacks;
    read_stacks(&stacks);
    size_t out_of_spans = 0, spans = 0;
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct mcentral_stats central = mcentral_get_stats(class);
        out_of_spans += central.out;
        spans += central.spans;
    }
    out->thread_cache = registry_total_bytes(&out->threads);
    size_t waiting = quarantine_bytes();
    out->allocated = minus(out_of_spans, out->thread_cache + waiting) + heap.large;
    out->allocated = minus(out->allocated, guard_freed_bytes()) + stacks.bytes;
    out->central_free = minus(spans, out_of_spans) + waiting + stacks.free_bytes;
    out->active = heap.in_use;
    out->metadata = persistent_bytes() + heap.tables;
    out->free_pages = heap.free_dirty;
    out->resident = minus(heap.in_use, span_hole_bytes()) + heap.free_dirty + out->metadata;
    out->mapped = heap.mapped;
    out->retained = heap.free_clean;
}

void stats_get(struct goalloc_stats *out) {
    *out = (struct goalloc_stats){0};
    if (thread_enter_without_cache()) {
        read_all(out);
        alloc_leave();
    }
}

void stats_get_stacks(struct goalloc_stack_stats *out) {
    *out = (struct goalloc_stack_stats){0};
    if (thread_enter_without_cache()) {
        read_stacks(out);
        alloc_leave();
    }
}

static void print_class(int fd, unsigned class) {
    struct mcentral_stats stats = read_class(class);
    if (stats.span_count > 0) {
        size_t size = class_to_size[class];
        print_fd(fd, "goalloc:   %10zu %8zu %12zu %12zu\n", size, stats.span_count, stats.spans,
                 stats.out);
    }
}

void stats_print(int fd) {
    struct goalloc_stats stats;
    struct goalloc_stack_stats stacks;
    stats_get(&stats);
    stats_get_stacks(&stacks);
    print_fd(fd, "goalloc: statistics, in bytes\n");
    print_fd(fd, "goalloc:   allocated     %12zu  in blocks of the program\n", stats.allocated);
    print_fd(fd, "goalloc:   active        %12zu  in pages that hold blocks\n", stats.active);
    print_fd(fd, "goalloc:   thread cache  %12zu  free, in the caches of %zu threads\n",
             stats.thread_cache, stats.threads);
    print_fd(fd, "goalloc:   central free  %12zu  free, in spans\n", stats.central_free);
    print_fd(fd, "goalloc:   free pages    %12zu  free and still backed by memory\n",
             stats.free_pages);
    print_fd(fd, "goalloc:   retained      %12zu  free and not backed by memory\n", stats.retained);
    print_fd(fd, "goalloc:   metadata      %12zu  descriptors and tables\n", stats.metadata);
    print_fd(fd, "goalloc:   mapped        %12zu  open for reading and writing\n", stats.mapped);
    if (stacks.stacks + stacks.free_stacks > 0) {
        print_fd(fd, "goalloc:   stacks        %12zu  in %zu stacks; %zu are free\n", stacks.bytes,
                 stacks.stacks, stacks.free_stacks);
    }
    print_fd(fd, "goalloc:         size    spans   span bytes          out\n");
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        print_class(fd, class);
    }
}

static void write_sizes(FILE *stream) {
    fputs("<sizes>\n", stream);
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct mcentral_stats stats = read_class(class);
        size_t size = class_to_size[class];
        size_t free = minus(stats.objects, stats.out);
        if (free > 0) {
            fprintf(stream, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n",
                    class_to_size[class - 1] + (size_t)1, size, free, free / size);
        }
    }
    fputs("</sizes>\n", stream);
}

static void write_free(FILE *stream, const struct goalloc_stats *stats) {
    fprintf(stream, "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n", stats->threads,
            stats->thread_cache);
    fprintf(stream, "<total type=\"rest\" count=\"1\" size=\"%zu\"/>\n", stats->central_free);
}

static void write_system(FILE *stream, const struct goalloc_stats *stats) {
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n", stats->mapped);
    fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n", stats->mapped);
    fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n", stats->mapped);
    fprintf(stream, "<aspace type=\"mprotect\" size=\"%zu\"/>\n", stats->mapped);
}

void stats_write_xml(FILE *stream) {
    struct goalloc_stats stats;
    stats_get(&stats);
    struct mheap_stats heap = read_heap();
    fputs("<malloc version=\"goalloc-1\">\n<heap nr=\"0\">\n", stream);
    write_sizes(stream);
    write_free(stream, &stats);
    write_system(stream, &stats);
    fputs("</heap>\n", stream);
    write_free(stream, &stats);
    fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", heap.large_blocks,
            heap.large);
    write_system(stream, &stats);
    fputs("</malloc>\n", stream);
}
