/* Start and end of the library in a process. See README.md. */
#ifndef GOALLOC_INIT_H
#define GOALLOC_INIT_H

/* The constructor; also called by the tests that link the modules without it. Idempotent. */
void init_library(void);

#endif
