/*
 * The counters of all modules, summed up and written out. The modules do not know of it. See
 * README.md.
 */
#ifndef GOALLOC_STATS_H
#define GOALLOC_STATS_H

#include <stdio.h>

#include "goalloc.h"
#include "goalloc_stack.h"

/* The parts are read one after another while other threads run, so they may not add up exactly. */
void stats_get(struct goalloc_stats *out);
void stats_get_stacks(struct goalloc_stack_stats *out);

/* As text, without allocating. */
void stats_print(int fd);

/* As the XML of glibc's malloc_info, by stdio (which may allocate). */
void stats_write_xml(FILE *stream);

#endif
