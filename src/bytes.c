/* Known bytes and changed ones. See bytes.h and README.md. */
#include "bytes.h"

#include <stdint.h>
#include <string.h>

#include "base.h"
#include "fatal.h"

static const char *first_other_slowly(const char *from, const char *end, int byte) {
    while (from < end && *from == (char)byte) {
        from++;
    }
    return from < end ? from : NULL;
}

/* Four words at a time, whatever their alignment. */
const char *bytes_first_other(const char *from, size_t n, int byte) {
    const char *end = from + n;
    uint64_t want = UINT64_C(0x0101010101010101) * (unsigned char)byte, word[4];
    for (; (size_t)(end - from) >= sizeof word; from += sizeof word) {
        memcpy(word, from, sizeof word);
        if (((word[0] ^ want) | (word[1] ^ want) | (word[2] ^ want) | (word[3] ^ want)) != 0) {
            break;
        }
    }
    return first_other_slowly(from, end, byte);
}

void bytes_require_canary(const char *call, const char *block, size_t size, const char *start,
                          const char *end) {
    const char *behind =
        bytes_first_other(block + size, (size_t)(end - block) - size, BYTES_CANARY);
    const char *before = bytes_first_other(start, (size_t)(block - start), BYTES_CANARY);
    if (behind != NULL) {
        fatal_misuse(call, block, "overflow: byte %zu of a block of %zu bytes was written",
                     (size_t)(behind - block), size);
    }
    if (before != NULL) {
        fatal_misuse(call, block, "underflow: %zu bytes before a block of %zu bytes were written",
                     (size_t)(block - before), size);
    }
}
