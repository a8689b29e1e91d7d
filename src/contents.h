/*
 * CHECK=2: what stands in a small object besides the program's data, and what is left in a free
 * one. An object of a class holds
 *
 *     | 16 bytes of canary, or the alignment | the block | at least a byte of canary |
 *
 * and a free one the same, with the poison of a freed block, or zeros, in the place of the block.
 * A fresh one is all canary: a freed block of 0 bytes. So who writes before the block, past its
 * end, or into it after its free is found out: at the free, or when the object is used again, its
 * span goes back to the heap, or the process ends.
 *
 * How large the block is and where it starts stands in the arena's table of sizes, two bytes for
 * each 16 of the heap: the size at the object's start, the offset in units of 16 next to it.
 * Nothing here takes a lock: a free object is its caller's. See README.md.
 */
#ifndef GOALLOC_CONTENTS_H
#define GOALLOC_CONTENTS_H

#include "arena.h"
#include "span.h"

/* The class for a block of size bytes at a multiple of align; 0: none is large enough. */
unsigned contents_class(size_t align, size_t size);

/* Makes all objects of a new span fresh ones. */
void contents_prepare(struct span *span);

/* The block of so many bytes in a free object; ends the process if that was written to. */
void *contents_begin(void *object, size_t align, size_t size);

/* The block is free; ends the process if it was written around. Returns the object. */
void *contents_end(const char *call, void *block);

/* Was the free object written to? */
bool contents_changed(const void *object);

/* Ends the process if the free object was written to. */
void contents_verify(const char *call, void *object);

/* The same for all objects of a span, which are free. */
void contents_verify_span(const struct span *span);

/* The size asked for. */
size_t contents_size(const void *block);

#endif
