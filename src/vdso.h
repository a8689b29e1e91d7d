/*
 * Functions of the vDSO, the small library that Linux maps into every process for calls that need
 * not enter the kernel. The C library calls them under names of its own, which other libraries may
 * wrap: one that allocates before it has the time, or while it holds a lock, is not to be called
 * from inside malloc.
 */
#ifndef GOALLOC_VDSO_H
#define GOALLOC_VDSO_H

/* Where `image`, which is that of AT_SYSINFO_EHDR, has the function; NULL: it has none, or there is
 * no image. Needs no lock. */
void *vdso_find(const void *image, const char *name);

#endif
