/*
 * Helpers of the API tests; see support.h. The resident size is read with open and read because
 * stdio would allocate in the middle of a measurement.
 */
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../pattern.h"

size_t opaque(size_t value) {
    __asm__ volatile("" : "+r"(value));
    return value;
}

void *keep(void *ptr) {
    __asm__ volatile("" : "+r"(ptr) : : "memory");
    return ptr;
}

void fill(void *ptr, size_t size, unsigned seed) {
    pattern_fill(ptr, size, seed);
}

void assert_filled(const void *ptr, size_t size, unsigned seed) {
    size_t wrong = pattern_mismatch(ptr, size, seed);
    if (wrong != size) {
        fail_msg("wrong within 8 bytes from byte %zu of %zu at %p on", wrong, size, ptr);
    }
}

void assert_zero(const void *ptr, size_t size) {
    const unsigned char *bytes = ptr;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            fail_msg("byte %zu of %zu at %p is 0x%02x, want 0", i, size, ptr, bytes[i]);
        }
    }
}

bool is_aligned(const void *ptr, size_t alignment) {
    return ((uintptr_t)ptr & (alignment - 1)) == 0;
}

/* From status, in kilobytes: statm counts the pages of the machine, which are not those that an
 * emulator shows. */
size_t resident_bytes(void) {
    char text[4096] = {0};
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    char *resident = strstr(text, "\nVmRSS:");
    assert_non_null(resident);
    return (size_t)strtoull(resident + strlen("\nVmRSS:"), NULL, 10) * 1024;
}

size_t allocated_bytes(void) {
#ifdef API_NOIMPL
    struct goalloc_stats stats;
    goalloc_get_stats(&stats);
    return stats.allocated;
#else
    return mallinfo2().uordblks;
#endif
}
