/*
 * Pointers that are not ours: from a malloc that was there before this library was loaded, or is
 * still there beside it (a library loaded with RTLD_DEEPBIND), or from nowhere. What plausibly is
 * another allocator's goes to the next one in the link order; what cannot be a heap block ends the
 * process with a message that says what the address is. See README.md.
 *
 * Never call these from inside the slow path: the next allocator and the dynamic linker may call
 * malloc.
 */
#ifndef GOALLOC_FOREIGN_H
#define GOALLOC_FOREIGN_H

#include <stddef.h>

/* Frees it there, or ignores it with one warning in the process, as the option FOREIGN wants. Keeps
 * errno. */
void foreign_free(const char *call, void *pointer);

/* What the next allocator says; 0 when there is none. */
size_t foreign_usable_size(const char *call, const void *pointer);

#endif
