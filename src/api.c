/* The goalloc_ names of goalloc.h. See api.h and README.md. */
#include "api.h"

#include "goalloc.h"
#include "os.h"
#include "print.h"
#include "stats.h"

#define TEXT(x) #x
#define VERSION_TEXT(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *goalloc_version(void) {
    return VERSION_TEXT(GOALLOC_VERSION_MAJOR, GOALLOC_VERSION_MINOR, GOALLOC_VERSION_PATCH);
}

/* The standard wants errno left alone here, whatever happens. */
int api_posix_memalign(void **out, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *block = alloc_aligned(alignment, size);
    errno = saved;
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void *api_valloc(size_t size) {
    return alloc_aligned(os_page_size(), size);
}

void *api_pvalloc(size_t size) {
    size_t page = os_page_size();
    if (size > PTRDIFF_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return alloc_aligned(page, align_up(max_size(size, 1), page));
}

int api_trim(size_t pad) {
    return alloc_trim(pad) > 0;
}

int api_malloc_info(int options, FILE *stream) {
    if (options != 0) {
        return EINVAL;
    }
    stats_write_xml(stream);
    return 0;
}

void *goalloc_malloc(size_t size) {
    return alloc_malloc(size);
}

void *goalloc_calloc(size_t count, size_t size) {
    return alloc_calloc(count, size);
}

void *goalloc_realloc(void *ptr, size_t size) {
    return resize_realloc(ptr, size);
}

void *goalloc_reallocarray(void *ptr, size_t count, size_t size) {
    size_t bytes;
    return api_array_bytes(count, size, &bytes) ? resize_realloc(ptr, bytes) : NULL;
}

void goalloc_free(void *ptr) {
    alloc_free(ptr);
}

void goalloc_free_sized(void *ptr, size_t size) {
    resize_free_sized(ptr, size, 1);
}

void goalloc_free_aligned_sized(void *ptr, size_t alignment, size_t size) {
    resize_free_sized(ptr, size, alignment);
}

int goalloc_posix_memalign(void **out, size_t alignment, size_t size) {
    return api_posix_memalign(out, alignment, size);
}

void *goalloc_aligned_alloc(size_t alignment, size_t size) {
    return api_aligned_alloc(alignment, size);
}

void *goalloc_memalign(size_t alignment, size_t size) {
    return api_memalign(alignment, size);
}

void *goalloc_valloc(size_t size) {
    return api_valloc(size);
}

void *goalloc_pvalloc(size_t size) {
    return api_pvalloc(size);
}

size_t goalloc_usable_size(const void *ptr) {
    return resize_usable_size(ptr);
}

int goalloc_trim(size_t pad) {
    return api_trim(pad);
}

void goalloc_get_stats(struct goalloc_stats *out) {
    stats_get(out);
}

void goalloc_print_stats(void) {
    stats_print(STDERR);
}

int goalloc_info(int options, FILE *stream) {
    return api_malloc_info(options, stream);
}
