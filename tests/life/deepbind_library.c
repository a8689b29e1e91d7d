/* A plug-in that shares blocks with the program: see deepbind.c. */
#include <stdlib.h>
#include <string.h>

void *plugin_address_of_free(void);
void plugin_free(void *block);
char *plugin_copy(const char *text);
void *plugin_grow(void *block, size_t size);

void *plugin_address_of_free(void) {
    return (void *)free;
}

void plugin_free(void *block) {
    free(block);
}

char *plugin_copy(const char *text) {
    char *copy = malloc(strlen(text) + 1);
    return copy == NULL ? NULL : strcpy(copy, text);
}

void *plugin_grow(void *block, size_t size) {
    return realloc(block, size);
}
