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
#include "maps.h"
#include "options.h"
#include "os.h"

/* A statically linked program may have no dynamic linker; then nothing is next. */
#pragma weak dlsym
#pragma weak dladdr

/* What /proc/self/maps says of an address. */
enum place { PLACE_UNKNOWN, PLACE_UNMAPPED, PLACE_STACK, PLACE_FILE, PLACE_MEMORY };

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

/* In a process that has no files left, or no /proc. */
static enum place place_without_maps(uintptr_t address) {
    enum { NEAR = 64 * 1024 };
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (!os_is_readable((const void *)align_down(address, 16))) {
        return PLACE_UNMAPPED;
    }
    return address - here < NEAR ? PLACE_STACK : PLACE_UNKNOWN;
}

static enum place find_place(uintptr_t address, struct map_line *line) {
    switch (maps_find(address, line)) {
    case MAPS_FOUND:
        return place_of_line(line);
    case MAPS_NONE:
        return PLACE_UNMAPPED;
    default:
        return place_without_maps(address);
    }
}

/* In front of a block of glibc's. */
enum { CHUNK_HEADER = 16 };

/* Does a mapping of glibc's begin `before` bytes in front of the chunk and end with it? Since glibc
 * 2.43 the size leaves a header out, and the lowest bit of `before` says whether the mapping has
 * huge pages. */
static bool has_own_mapping(uintptr_t chunk, size_t before, size_t size) {
    enum { HUGE_PAGES = 1 };
    size_t page = os_page_size(), offset = before & ~(size_t)HUGE_PAGES;
    return (chunk - offset) % page == 0 &&
           ((offset + size) % page == 0 || (offset + size + CHUNK_HEADER) % page == 0);
}

/*
 * Would glibc take it for a block of its own? It reads the two words below: the chunk's size with
 * three flags, and in front of that what precedes a chunk that has a mapping of its own; and behind
 * any other chunk the flag that this one is in use. If that cannot be right it ends the process
 * without saying who freed what, or crashes, so it is not asked. Other allocators cannot be checked
 * from outside.
 */
static bool glibc_would_accept(const void *pointer) {
    enum { BEFORE_IN_USE = 1, OWN_MAPPING = 2, OTHER_ARENA = 4, FLAGS = 7 };
    enum { SMALLEST = 32 };
    const uintptr_t heap = 64 * MIB; /* those of other arenas are aligned to it */
    uintptr_t chunk = (uintptr_t)pointer - CHUNK_HEADER;
    if (chunk % CHUNK_HEADER != 0 || !os_is_readable((const void *)chunk)) {
        return false;
    }
    size_t before = ((const size_t *)chunk)[0], word = ((const size_t *)chunk)[1];
    size_t size = word & ~(size_t)FLAGS;
    if (size < SMALLEST || size % CHUNK_HEADER != 0) {
        return false;
    }
    if ((word & OWN_MAPPING) != 0) {
        return has_own_mapping(chunk, before, size);
    }
    if ((word & OTHER_ARENA) != 0 && !os_is_readable((const void *)align_down(chunk, heap))) {
        return false;
    }
    const size_t *next = (const size_t *)(chunk + size);
    return os_is_readable(next) && (next[1] & BEFORE_IN_USE) != 0;
}

/* The program or library that an address lies in, with its variables that begin as zero, which have
 * a mapping without a name; NULL: none. */
static const char *object_of(const void *address) {
    Dl_info info;
    return dladdr != NULL && dladdr(address, &info) != 0 ? info.dli_fname : NULL;
}

static bool is_glibc(void *function) {
    const char *name = "libc.so.6", *path = object_of(function);
    size_t length = strlen(name), path_length = path != NULL ? strlen(path) : 0;
    return path_length >= length && strcmp(path + path_length - length, name) == 0;
}

static _Noreturn void fail_inside(const char *call, const void *pointer, const char *file) {
    fatal_misuse(call, pointer, "address inside the mapping of %s, not a block from malloc", file);
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
        fail_inside(call, pointer, line.name);
    case PLACE_MEMORY:
    case PLACE_UNKNOWN:
        break;
    }
    const char *object = object_of(pointer);
    if (object != NULL) {
        fail_inside(call, pointer, object);
    }
    if ((uintptr_t)pointer % 8 != 0) {
        fatal_misuse(call, pointer, "wild pointer: not aligned, so no allocator returned it");
    }
    if (options.foreign == FOREIGN_ABORT) {
        fatal_misuse(call, pointer, "block of another allocator, and FOREIGN is abort");
    }
}

/* The function of that name of the next allocator that may own the pointer; NULL: there is none. */
static void *next_owner(const char *name, const void *pointer) {
    if (dlsym == NULL || options.foreign != FOREIGN_FORWARD) {
        return NULL;
    }
    void *function = dlsym(RTLD_NEXT, name);
    bool refused = function != NULL && is_glibc(function) && !glibc_would_accept(pointer);
    return refused ? NULL : function;
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
    void (*next_free)(void *) = (void (*)(void *))next_owner("free", pointer);
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
        (size_t(*)(const void *))next_owner("malloc_usable_size", pointer);
    size_t size = next_size != NULL ? next_size(pointer) : 0;
    errno = saved;
    return size;
}
