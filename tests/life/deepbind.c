/*
 * A program that loads a plug-in with RTLD_DEEPBIND, as PHP does with its extensions:
 *
 *     deepbind PLUGIN kept|dropped
 *
 * The plug-in must use the same malloc as the program, which frees what the other has allocated,
 * unless the option DEEPBIND leaves the flag. PLUGIN has no directory: it is found only by the
 * program's own search path, so the dynamic linker must see who called.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

enum { BLOCKS = 1000 };

static void *(*plugin_address_of_free)(void);
static void (*plugin_free)(void *block);
static char *(*plugin_copy)(const char *text);
static void *(*plugin_grow)(void *block, size_t size);

static void *symbol(void *plugin, const char *name) {
    void *address = dlsym(plugin, name);
    CHECK(address != NULL, "dlsym: %s", dlerror());
    return address;
}

static void load(const char *name) {
    CHECK(strchr(name, '/') == NULL, "%s has a directory", name);
    void *plugin = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    CHECK(plugin != NULL, "dlopen: %s", dlerror());
    plugin_address_of_free = (void *(*)(void))symbol(plugin, "plugin_address_of_free");
    plugin_free = (void (*)(void *))symbol(plugin, "plugin_free");
    plugin_copy = (char *(*)(const char *))symbol(plugin, "plugin_copy");
    plugin_grow = (void *(*)(void *, size_t))symbol(plugin, "plugin_grow");
}

static void share_blocks(void) {
    for (size_t i = 1; i <= BLOCKS; i++) {
        char *block = plugin_grow(malloc(i), 2 * i + 100);
        CHECK(block != NULL, "no memory");
        memset(block, 'x', 2 * i + 100);
        plugin_free(block);
        char *copy = plugin_copy("a text of the plug-in's");
        CHECK(copy != NULL && strcmp(copy, "a text of the plug-in's") == 0, "a wrong copy");
        free(copy);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "deepbind PLUGIN kept|dropped");
    life_require_goalloc();
    load(argv[1]);
    bool dropped = strcmp(argv[2], "dropped") == 0;
    CHECK((plugin_address_of_free() == (void *)free) == dropped, "the flag was not %s", argv[2]);
    if (dropped) {
        share_blocks();
    }
    CHECK(dlopen("no_such_library.so", RTLD_NOW) == NULL && dlerror() != NULL, "no error");
    return 0;
}
