/*
 * A resolver of an indirect function in the program, which the dynamic linker calls while it
 * relocates, before any constructor has run: it allocates.
 */
#include <stdlib.h>
#include <string.h>

#include "life.h"

#define RESOLVER_BLOCKS 50

static void *resolver_blocks[RESOLVER_BLOCKS];

static int answer_of_the_resolved(void) {
    return 42;
}

__attribute__((used)) static int (*resolve_answer(void))(void) {
    for (size_t i = 0; i < RESOLVER_BLOCKS; i++) {
        void *freed = malloc(i * 1000);
        resolver_blocks[i] = malloc(i * 50 + 1);
        if (resolver_blocks[i] == NULL || freed == NULL) {
            return NULL;
        }
        *(char *)resolver_blocks[i] = (char)i;
        free(freed);
    }
    return answer_of_the_resolved;
}

int answer(void) __attribute__((ifunc("resolve_answer")));

int main(void) {
    life_require_goalloc();
    CHECK(answer() == 42, "the indirect function is wrong");
    for (size_t i = 0; i < RESOLVER_BLOCKS; i++) {
        CHECK(*(char *)resolver_blocks[i] == (char)i, "block %zu of the resolver changed", i);
        free(resolver_blocks[i]);
    }
    life_exercise_heap();
    return 0;
}
