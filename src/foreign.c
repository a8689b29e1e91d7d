/* Pointers of other allocators. See foreign.h and README.md. */
#include "foreign.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base.h"
#include "fatal.h"
#include "options.h"
#include "os.h"

/* A statically linked program may have no dynamic linker; then nothing is next. */
#pragma weak dlsym

/* What /proc/self/maps says of an address. */
enum place { PLACE_UNKNOWN, PLACE_UNMAPPED, PLACE_STACK, PLACE_FILE, PLACE_MEMORY };

enum { READ_SIZE = 1024, NAME_SIZE = 256 };

struct map_reader {
    int file;
    size_t have;
    size_t next;
    char buffer[READ_SIZE];
};

struct map_line {
    uintptr_t start;
    uintptr_t end;
    bool readable;
    char name[NAME_SIZE]; /* empty: anonymous memory */
};

static int read_char(struct map_reader *reader) {
    if (reader->next == reader->have) {
        ssize_t got = os_read(reader->file, reader->buffer, sizeof reader->buffer);
        if (got <= 0) {
            return -1;
        }
        reader->have = (size_t)got;
        reader->next = 0;
    }
    return reader->buffer[reader->next++];
}

/* A hexadecimal number and the character behind it. */
static uintptr_t read_hex(struct map_reader *reader) {
    uintptr_t value = 0;
    for (int c = read_char(reader); c >= 0; c = read_char(reader)) {
        if (c >= '0' && c <= '9') {
            value = value * 16 + (uintptr_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value * 16 + (uintptr_t)(c - 'a' + 10);
        } else {
            break;
        }
    }
    return value;
}

/* "start-end rights offset device inode      name"; the name is what begins with '/' or '['. */
static bool read_line(struct map_reader *reader, struct map_line *line) {
    size_t length = 0;
    line->start = read_hex(reader);
    line->end = read_hex(reader);
    int c = read_char(reader);
    line->readable = c == 'r';
    while (c >= 0 && c != '\n') {
        bool begins = c == '/' || c == '[';
        if ((begins || length > 0) && length + 1 < NAME_SIZE) {
            line->name[length++] = (char)c;
        }
        c = read_char(reader);
    }
    line->name[length] = '\0';
    return c >= 0;
}

static bool is_named(const struct map_line *line, const char *prefix) {
    return strncmp(line->name, prefix, strlen(prefix)) == 0;
}

static enum place place_of_line(const struct map_line *line) {
    if (!line->readable) {
        return PLACE_UNMAPPED; /* reserved address space, ours for example */
    }
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (is_named(line, "[stack") || (here >= line->start && here < line->end)) {
        return PLACE_STACK;
    }
    bool is_memory = line->name[0] == '\0' || is_named(line, "[heap]") || is_named(line, "[anon");
    return is_memory ? PLACE_MEMORY : PLACE_FILE;
}

static enum place find_place(uintptr_t address, struct map_line *line) {
    struct map_reader reader = {.file = os_open_file("/proc/self/maps")};
    enum place place = PLACE_UNMAPPED;
    if (reader.file < 0) {
        return PLACE_UNKNOWN;
    }
    while (read_line(&reader, line)) {
        if (address >= line->start && address < line->end) {
            place = place_of_line(line);
            break;
        }
    }
    os_close(reader.file);
    return place;
}

/* Ends the process unless the address may be a block of another allocator. Those are all aligned to
 * 8 bytes at least. */
static void require_plausible(const char *call, const void *pointer) {
    struct map_line line;
    switch (find_place((uintptr_t)pointer, &line)) {
    case PLACE_UNMAPPED:
        fatal_misuse(call, pointer, "wild pointer: nothing is mapped there");
    case PLACE_STACK:
        fatal_misuse(call, pointer, "address on a stack, not a block from malloc");
    case PLACE_FILE:
        fatal_misuse(call, pointer, "address inside the mapping of %s, not a block from malloc",
                     line.name);
    case PLACE_MEMORY:
    case PLACE_UNKNOWN:
        break;
    }
    if ((uintptr_t)pointer % 8 != 0) {
        fatal_misuse(call, pointer, "wild pointer: not aligned, so no allocator returned it");
    }
    if (options.foreign == FOREIGN_ABORT) {
        fatal_misuse(call, pointer, "block of another allocator, and FOREIGN is abort");
    }
}

static void *next_function(const char *name) {
    return dlsym != NULL && options.foreign == FOREIGN_FORWARD ? dlsym(RTLD_NEXT, name) : NULL;
}

static void warn_once(const char *call, const void *pointer) {
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    if (options.foreign != FOREIGN_IGNORE && !atomic_flag_test_and_set(&warned)) {
        warn("%s(%p): block of another allocator, ignored (said once; see FOREIGN in "
             "LD_PRELOAD.md)",
             call, pointer);
    }
}

void foreign_free(const char *call, void *pointer) {
    int saved = errno;
    require_plausible(call, pointer);
    void (*next_free)(void *) = (void (*)(void *))next_function("free");
    if (next_free != NULL) {
        next_free(pointer);
    } else {
        warn_once(call, pointer);
    }
    errno = saved;
}

size_t foreign_usable_size(const char *call, const void *pointer) {
    int saved = errno;
    require_plausible(call, pointer);
    size_t (*next_size)(const void *) =
        (size_t(*)(const void *))next_function("malloc_usable_size");
    size_t size = next_size != NULL ? next_size(pointer) : 0;
    errno = saved;
    return size;
}
