/*
 * A clock for single calls and a histogram of what it measures: 32 steps for each doubling, so a
 * value is off by 3 % at most, in 16 KB.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include "bench.h"

/* Ticks of the processor where reading them is cheap, nanoseconds elsewhere. */
static double ns_per_tick = 1;

#if defined(__x86_64__)
static inline uint64_t ticks(void) {
    unsigned processor;
    return __builtin_ia32_rdtscp(&processor);
}

static inline void ticks_calibrate(void) {
    uint64_t start = now_ns(), start_ticks = ticks();
    while (now_ns() - start < 20000000) {
    }
    ns_per_tick = (double)(now_ns() - start) / (double)(ticks() - start_ticks);
}
#else
static inline uint64_t ticks(void) {
    return now_ns();
}

static inline void ticks_calibrate(void) {}
#endif

enum { STEP_BITS = 5, STEPS = 1 << STEP_BITS, BUCKETS = (65 - STEP_BITS) * STEPS };

struct histogram {
    uint64_t count;
    uint64_t worst;
    uint64_t bucket[BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t value) {
    unsigned log = 63 - (unsigned)__builtin_clzll(value | STEPS), shift = log - STEP_BITS;
    histogram->bucket[shift * STEPS + (value >> shift)]++;
    histogram->count++;
    histogram->worst = value > histogram->worst ? value : histogram->worst;
}

/* The upper bound of what `share` of the values do not exceed. */
static inline uint64_t histogram_quantile(const struct histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)((double)histogram->count * share), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen > wanted) {
            size_t shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
            return (i - shift * STEPS + 1) << shift;
        }
    }
    return histogram->worst;
}

static inline void histogram_metrics(const struct histogram *histogram, const char *call) {
    static const struct {
        const char *name;
        double share;
    } quantile[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};
    char name[64];
    for (size_t i = 0; i < sizeof quantile / sizeof quantile[0]; i++) {
        double value = (double)histogram_quantile(histogram, quantile[i].share);
        snprintf(name, sizeof name, "%s_%s", call, quantile[i].name);
        metric(name, value * ns_per_tick, "ns");
    }
    snprintf(name, sizeof name, "%s_worst", call);
    metric(name, (double)histogram->worst * ns_per_tick, "ns");
}

#endif
