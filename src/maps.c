/* A reader of /proc/self/maps. See maps.h and README.md. */
#include "maps.h"

#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "os.h"

enum { READ_SIZE = 1024 };

struct map_reader {
    int file;
    bool failed; /* what was read is not all */
    size_t have;
    size_t next;
    char buffer[READ_SIZE];
    char file_name[MAPS_NAME_SIZE]; /* of the last mapping with one */
    uintptr_t module;               /* where its first mapping starts */
};

static int read_char(struct map_reader *reader) {
    if (reader->next == reader->have) {
        ssize_t got = os_read(reader->file, reader->buffer, sizeof reader->buffer);
        reader->failed |= got < 0;
        if (got <= 0 || reader->failed) {
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
        if ((begins || length > 0) && length + 1 < MAPS_NAME_SIZE) {
            line->name[length++] = (char)c;
        }
        c = read_char(reader);
    }
    line->name[length] = '\0';
    if (length > 0 && strcmp(line->name, reader->file_name) != 0) {
        reader->module = line->start;
        memcpy(reader->file_name, line->name, length + 1);
    }
    line->module = reader->module;
    return c >= 0;
}

enum maps_answer maps_find(uintptr_t address, struct map_line *line) {
    struct map_reader reader = {.file = os_open_file("/proc/self/maps")};
    enum maps_answer answer = MAPS_NONE;
    if (reader.file < 0) {
        return MAPS_UNKNOWN;
    }
    while (answer == MAPS_NONE && read_line(&reader, line)) {
        if (address >= line->start && address < line->end) {
            answer = MAPS_FOUND;
        }
    }
    os_close(reader.file);
    return reader.failed ? MAPS_UNKNOWN : answer;
}
