/*
 * Blocks on pages of their own between pages that cannot be accessed: large ones with CHECK=2, a
 * sample of all with CHECK=3. After its free such a block stays inaccessible for some time. So a
 * wrong access is a fault at the very instruction, and the handler of SIGSEGV here says what it hit
 * and who allocated and freed that, before the program's own handler has its turn.
 *
 * The pages are those of a large span, which has its descriptor (struct guarded) where small ones
 * have bits, and which the page table names for each page:
 *
 *     | no access | canary | block | canary | no access |
 *
 * The canaries fill up the block's first and last page. See README.md.
 */
#ifndef GOALLOC_GUARD_H
#define GOALLOC_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "unwind.h"

/* Which side of the block lies at the border of its pages, as far as the alignment allows. */
enum guard_side { GUARD_BEHIND, GUARD_BEFORE };

/* NULL: no memory, or GUARD_SLOTS / 2 blocks are in use. frame is where the stack starts. */
void *guard_alloc(size_t size, size_t align, enum guard_side side, const void *frame,
                  bool *needs_zero);

/* Is the address in pages of such a block, in use or freed a short time ago? */
bool guard_owns(const void *pointer);

/* Of an address that it owns. Ends the process when no block in use starts there, or when the
 * canaries were written to. */
void guard_free(const char *call, void *pointer, const void *frame);
size_t guard_usable_size(const char *call, const void *pointer);

/* Makes the block larger or smaller where it is; false: it cannot. Room to grow is behind a block
 * that lies at the start of its pages. */
bool guard_resize(const char *call, void *pointer, size_t size);

/* The bytes of freed blocks that still have their pages. */
size_t guard_freed_bytes(void);

/* In the child of a fork. */
void guard_reset_in_child(void);

#endif
