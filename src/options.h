/*
 * The options, one table: the struct, the parser, the listing and the documentation's check come
 * out of it. They are read once, at the first allocation, from GOALLOC_CONF="name:value,..." and
 * then from GOALLOC_<NAME>=value, which wins. A process with raised rights ignores both. Nothing on
 * the fast path reads an option. See README.md.
 */
#ifndef GOALLOC_OPTIONS_H
#define GOALLOC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base.h"

/* What to do with a pointer that another malloc seems to have returned. */
enum { FOREIGN_FORWARD, FOREIGN_WARN, FOREIGN_IGNORE, FOREIGN_ABORT };

/* name, environment name, kind, default, least, most, help */
#define OPTIONS(OPTION)                                                                            \
    OPTION(verbose, "VERBOSE", FLAG, 0, 0, 1, "print version, path and options at start")          \
    OPTION(stats, "STATS", FLAG, 0, 0, 1, "print statistics at exit")                              \
    OPTION(abort_conf, "ABORT_CONF", FLAG, 0, 0, 1, "end the process on a wrong option")           \
    OPTION(check, "CHECK", FLAG, 0, 0, 1, "no caches: verify every free at the call")              \
    OPTION(background, "BACKGROUND", FLAG, 0, 0, 1, "a thread that gives idle memory back")        \
    OPTION(foreign, "FOREIGN", CHOICE, FOREIGN_FORWARD, 0, 3,                                      \
           "a pointer of another malloc: forward, warn, ignore or abort")                          \
    OPTION(thread_cache_max, "THREAD_CACHE_MAX", SIZE, 4 * MIB, 16 * KIB, GIB,                     \
           "free bytes that one thread may cache")                                                 \
    OPTION(cache_max, "CACHE_MAX", SIZE, 32 * MIB, 0, 64 * GIB,                                    \
           "free bytes that all threads may cache beyond 512k each")                               \
    OPTION(arena_max, "ARENA_MAX", SIZE, 512 * GIB, 4 * MIB, 512 * GIB,                            \
           "address space that an arena may take")

#define OPTION_FIELD(field, name, kind, initial, least, most, help) size_t field;
struct options {
    OPTIONS(OPTION_FIELD)
};
#undef OPTION_FIELD

extern HIDDEN struct options options;

/* Reads the environment; a NULL environ (too early in the process) leaves the defaults, and a later
 * call reads it. Warnings go to stderr. */
void options_load(char **environment);

/* Sets one option by its environment name without prefix, any case; false with a warning when name
 * or value is wrong. `source` names the place in the warning. */
bool options_set(const char *source, const char *name, size_t name_length, const char *value,
                 size_t value_length);

/* Prints each option with its value, one line each, to stderr. */
void options_print(void);

#endif
