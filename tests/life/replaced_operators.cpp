/*
 * A program that replaces some of C++'s operators new and delete; the standard says which of the
 * others call them then. Those of this program put a header in front of each block, so a form that
 * went to another allocator would find, or leave, a pointer that is no block.
 *
 * Without ARRAYS it replaces the forms for one object, plain and aligned, and no others; with it,
 * those for arrays.
 */
#include <cstddef>
#include <cstdlib>
#include <map>
#include <new>
#include <string>

#include "life.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsized-deallocation" /* that those are not replaced is the point */
#endif

#ifdef ARRAYS
#define NEW operator new[]
#define DELETE operator delete[]
#else
#define NEW operator new
#define DELETE operator delete
#endif

namespace {

struct header {
    std::size_t magic;
    void *block;
};

constexpr std::size_t magic = 0x5ca1ab1e, huge = std::size_t{1} << 60;
constexpr std::align_val_t aligned{256};

int made, dropped; /* by the operators below */

void *make(std::size_t size, std::size_t alignment) {
    if (size >= huge) {
        throw std::bad_alloc();
    }
    void *block = std::malloc(size + sizeof(header) + alignment);
    CHECK(block != nullptr, "no memory");
    std::size_t start = reinterpret_cast<std::size_t>(block) + sizeof(header) + alignment - 1;
    header *object = reinterpret_cast<header *>(start & ~(alignment - 1));
    object[-1] = {magic, block};
    made++;
    return object;
}

void drop(void *object) {
    if (object != nullptr) {
        header *before = static_cast<header *>(object) - 1;
        CHECK(before->magic == magic, "%p is not a block of this program's new", object);
        before->magic = 0;
        std::free(before->block);
        dropped++;
    }
}

} // namespace

void *NEW(std::size_t size) {
    return make(size, alignof(std::max_align_t));
}

void *NEW(std::size_t size, std::align_val_t alignment) {
    return make(size, static_cast<std::size_t>(alignment));
}

void DELETE(void *object) noexcept {
    drop(object);
}

void DELETE(void *object, std::align_val_t) noexcept {
    drop(object);
}

namespace {

/* The call made and dropped so many blocks with this program's operators. */
template <typename Call> void expect(int blocks, const char *what, Call call) {
    int made_before = made, dropped_before = dropped;
    call();
    CHECK(made - made_before == blocks && dropped - dropped_before == blocks,
          "%s: %d made and %d dropped here, not %d", what, made - made_before,
          dropped - dropped_before, blocks);
}

#define ROUND(ours, allocate, release)                                                             \
    expect(ours, #allocate " / " #release, [] {                                                    \
        for (std::size_t size = 1; size <= 100000; size = 3 * size + 1) {                          \
            void *object = life_keep(allocate);                                                    \
            release;                                                                               \
        }                                                                                          \
    })

constexpr int SIZES = 11; /* that ROUND walks through */

void call_forms_for_one(int ours) {
    ROUND(ours, ::operator new(size), ::operator delete(object));
    ROUND(ours, ::operator new(size), ::operator delete(object, size));
    ROUND(ours, ::operator new(size), ::operator delete(object, std::nothrow));
    ROUND(ours, ::operator new(size, std::nothrow), ::operator delete(object, size));
    ROUND(ours, ::operator new(size, aligned), ::operator delete(object, aligned));
    ROUND(ours, ::operator new(size, aligned), ::operator delete(object, size, aligned));
    ROUND(ours, ::operator new(size, aligned), ::operator delete(object, aligned, std::nothrow));
    ROUND(ours, ::operator new(size, aligned, std::nothrow), ::operator delete(object, aligned));
}

void call_forms_for_arrays(int ours) {
    ROUND(ours, ::operator new[](size), ::operator delete[](object));
    ROUND(ours, ::operator new[](size), ::operator delete[](object, size));
    ROUND(ours, ::operator new[](size), ::operator delete[](object, std::nothrow));
    ROUND(ours, ::operator new[](size, std::nothrow), ::operator delete[](object, size));
    ROUND(ours, ::operator new[](size, aligned), ::operator delete[](object, aligned));
    ROUND(ours, ::operator new[](size, aligned), ::operator delete[](object, size, aligned));
    ROUND(ours, ::operator new[](size, aligned),
          ::operator delete[](object, aligned, std::nothrow));
    ROUND(ours, ::operator new[](size, aligned, std::nothrow),
          ::operator delete[](object, aligned));
}

/* What this program's new throws, the nothrow form catches. */
void fail() {
    CHECK(NEW(huge, std::nothrow) == nullptr, "nothrow");
    CHECK(NEW(huge, aligned, std::nothrow) == nullptr, "aligned nothrow");
    CHECK(::operator new[](huge, std::nothrow) == nullptr, "array nothrow");
}

} // namespace

int main() {
#ifdef ARRAYS
    call_forms_for_one(0);
#else
    call_forms_for_one(SIZES);
#endif
    call_forms_for_arrays(SIZES);
    fail();
    {
        std::map<int, std::string> strings;
        for (int i = 0; i < 10000; i++) {
            strings[i] = std::string(static_cast<std::size_t>(i % 300), 'x');
        }
    }
    life_exercise_heap();
    CHECK(made == dropped, "%d made and %d dropped", made, dropped);
    return 0;
}
