/*
 * A program that brings malloc, calloc, realloc and free of its own, in front of whatever is
 * preloaded, and uses functions of the C library that allocate, and reallocarray, which calls
 * realloc there.
 */
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

struct header {
    size_t size;
    size_t magic;
};

#define MAGIC ((size_t)0x0ddba11)

static alignas(16) char pool[16 << 20];
static size_t used;
static size_t calls;
static volatile size_t huge = (size_t)1 << 40;

static struct header *header_of(void *block) {
    struct header *header = (struct header *)block - 1;
    CHECK(header->magic == MAGIC, "%p is not a block of this program's malloc", block);
    return header;
}

void *malloc(size_t size) {
    struct header *header = (struct header *)(void *)(pool + used);
    size_t bytes = (sizeof *header + size + 15) & ~(size_t)15;
    if (size > sizeof pool || bytes > sizeof pool - used) {
        return NULL;
    }
    calls++;
    used += bytes;
    *header = (struct header){size, MAGIC};
    return header + 1;
}

void free(void *block) {
    if (block != NULL) {
        header_of(block)->magic = 0;
    }
}

void *calloc(size_t count, size_t size) {
    return malloc(count * size); /* the pool is zero, and nothing is used twice */
}

void *realloc(void *block, size_t size) {
    void *copy = malloc(size);
    if (block != NULL && copy != NULL) {
        size_t old = header_of(block)->size;
        memcpy(copy, block, old < size ? old : size);
        free(block);
    }
    return copy;
}

int main(void) {
    char *text = life_keep(strdup("some text"));
    char *array = reallocarray(text, 1000, 30);
    CHECK(array != NULL && strcmp(array, "some text") == 0, "reallocarray");
    memset(array, 'x', 30000);
    free(array);
    array = reallocarray(NULL, 10, 10);
    CHECK(array != NULL && reallocarray(array, huge, huge) == NULL, "reallocarray of too much");
    free(array);

    FILE *file = fopen("/proc/self/status", "r");
    char *line = NULL;
    size_t size = 0, before = calls;
    CHECK(file != NULL && getline(&line, &size, file) > 0, "getline");
    CHECK(calls > before, "getline did not call this program's malloc");
    free(line);
    fclose(file);
    return 0;
}
