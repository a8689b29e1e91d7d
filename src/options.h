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

/* What is checked: what costs nothing; each call; what blocks are written to, as well; samples. */
enum { CHECK_OFF, CHECK_CALLS, CHECK_CONTENTS, CHECK_SAMPLES };

/* name, environment name, kind, default, least, most, help */
#define OPTIONS(OPTION)                                                                            \
    OPTION(verbose, "VERBOSE", FLAG, 0, 0, 1, "print version, path and options at start")          \
    OPTION(stats, "STATS", FLAG, 0, 0, 1, "print statistics at exit")                              \
    OPTION(abort_conf, "ABORT_CONF", FLAG, 0, 0, 1, "end the process on a wrong option")           \
    OPTION(check, "CHECK", NUMBER, CHECK_OFF, 0, 3,                                                \
           "1: verify every call; 2: contents, too; 3: guard some blocks by pages")                \
    OPTION(zero_freed, "ZERO_FREED", FLAG, 0, 0, 1, "CHECK=2: fill freed blocks with zeros")       \
    OPTION(quarantine, "QUARANTINE", SIZE, 256 * KIB, 0, GIB,                                      \
           "CHECK=2: freed bytes that wait, for each of 8 groups of threads")                      \
    OPTION(guard_rate, "GUARD_RATE", NUMBER, 100000, 1, GIB,                                       \
           "CHECK=3: guard one of so many blocks")                                                 \
    OPTION(guard_slots, "GUARD_SLOTS", NUMBER, 8192, 2, 32768,                                     \
           "CHECK=2 and 3: blocks guarded by pages, half of them free ones")                       \
    OPTION(background, "BACKGROUND", FLAG, 0, 0, 1, "a thread that gives idle memory back")        \
    OPTION(foreign, "FOREIGN", CHOICE, FOREIGN_FORWARD, 0, 3,                                      \
           "a pointer of another malloc: forward, warn, ignore or abort")                          \
    OPTION(deepbind, "DEEPBIND", FLAG, 0, 0, 1, "leave dlopen its flag RTLD_DEEPBIND")             \
    OPTION(thread_cache_max, "THREAD_CACHE_MAX", SIZE, 4 * MIB, 16 * KIB, GIB,                     \
           "free bytes that one thread may cache")                                                 \
    OPTION(cache_max, "CACHE_MAX", SIZE, 32 * MIB, 0, 64 * GIB,                                    \
           "free bytes that all threads may cache beyond 512k each")                               \
    OPTION(arena_max, "ARENA_MAX", SIZE, 512 * GIB, 4 * MIB, 512 * GIB,                            \
           "address space that an arena may take")

enum { OPTIONS_PAGE = 4096 };

#define OPTION_FIELD(field, name, kind, initial, least, most, help) size_t field;
struct options {
    OPTIONS(OPTION_FIELD)
} __attribute__((aligned(OPTIONS_PAGE))); /* nothing else is in the page: it is read-only later */
#undef OPTION_FIELD

extern HIDDEN struct options options;

/* No call goes through a thread's magazines unseen. */
static inline bool options_check_every(void) {
    return options.check == CHECK_CALLS || options.check == CHECK_CONTENTS ||
           (options.check == CHECK_SAMPLES && options.guard_rate == 1);
}

/* Reads the environment; a NULL environ (too early in the process) leaves the defaults, and a later
 * call reads it. Warnings go to stderr. */
void options_load(char **environment);

/* Makes them read-only, where the system's page is not larger than theirs. */
void options_protect(void);

/* Sets one option by its environment name without prefix, any case; false with a warning when name
 * or value is wrong. `source` names the place in the warning. */
bool options_set(const char *source, const char *name, size_t name_length, const char *value,
                 size_t value_length);

/* Prints each option with its value, one line each, to stderr. */
void options_print(void);

#endif
