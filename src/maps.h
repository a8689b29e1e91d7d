/*
 * What /proc/self/maps says of an address, read by system calls alone: no lock of the dynamic
 * linker is taken and nothing is allocated. See README.md.
 */
#ifndef GOALLOC_MAPS_H
#define GOALLOC_MAPS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAPS_NAME_SIZE = 256 };

struct map_line {
    uintptr_t start;
    uintptr_t end;
    uintptr_t module; /* where the first mapping of the file starts, of those in a row */
    bool readable;
    char name[MAPS_NAME_SIZE]; /* empty: anonymous memory */
};

enum maps_answer { MAPS_UNKNOWN, MAPS_NONE, MAPS_FOUND };

/* The mapping that holds an address. MAPS_NONE: nothing is there; MAPS_UNKNOWN: it cannot be
 * read. */
enum maps_answer maps_find(uintptr_t address, struct map_line *line);

#endif
