/* Looks a name up in the tables of an ELF image, see elf(5). See vdso.h. */
#include "vdso.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tables {
    uintptr_t base; /* addresses in the image are offsets from here */
    const Elf64_Sym *symbols;
    const char *strings;
    const uint32_t *sysv_hash;
    const uint32_t *gnu_hash; /* a kernel has the one, the other, or both */
};

/* The base is 0 where an emulator has made addresses of the offsets. */
static struct tables find_tables(const char *image) {
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segment = (const void *)(image + header->e_phoff), *load = NULL;
    const Elf64_Dyn *entry = NULL;
    for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
        if (segment->p_type == PT_LOAD && load == NULL) {
            load = segment;
        } else if (segment->p_type == PT_DYNAMIC) {
            entry = (const void *)(image + segment->p_offset);
        }
    }
    struct tables tables = {0};
    if (load == NULL || entry == NULL) {
        return tables;
    }
    tables.base = (uintptr_t)image + load->p_offset - load->p_vaddr;
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *at = (const void *)(tables.base + entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_SYMTAB:
            tables.symbols = at;
            break;
        case DT_STRTAB:
            tables.strings = at;
            break;
        case DT_HASH:
            tables.sysv_hash = at;
            break;
        case DT_GNU_HASH:
            tables.gnu_hash = at;
            break;
        default:
            break;
        }
    }
    return tables;
}

/* The last symbol that is in a bucket begins the last chain, whose end has the lowest bit set. */
static uint32_t count_by_gnu_hash(const uint32_t *table) {
    uint32_t buckets = table[0], first = table[1], filter_words = 2 * table[2], last = 0;
    const uint32_t *bucket = table + 4 + filter_words, *chain = bucket + buckets;
    for (uint32_t i = 0; i < buckets; i++) {
        last = bucket[i] > last ? bucket[i] : last;
    }
    while (last >= first && (chain[last - first] & 1) == 0) {
        last++;
    }
    return last + 1;
}

static uint32_t count_symbols(const struct tables *tables) {
    if (tables->symbols == NULL || tables->strings == NULL) {
        return 0;
    }
    if (tables->sysv_hash != NULL) {
        return tables->sysv_hash[1];
    }
    return tables->gnu_hash != NULL ? count_by_gnu_hash(tables->gnu_hash) : 0;
}

/* There are about ten, and it is asked for once: no need to hash. */
void *vdso_find(const void *image, const char *name) {
    if (image == NULL) {
        return NULL;
    }
    struct tables tables = find_tables(image);
    const Elf64_Sym *symbol = tables.symbols, *end = symbol + count_symbols(&tables);
    for (; symbol != end; symbol++) {
        if (symbol->st_shndx != SHN_UNDEF && strcmp(tables.strings + symbol->st_name, name) == 0) {
            return (void *)(tables.base + symbol->st_value);
        }
    }
    return NULL;
}
