/*
 * Contract of operator new and delete in every form. The operators are called by name, never by
 * new expressions (which a compiler may drop), except where the expression itself is under test.
 */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

/* Not all of cmocka's declarations say that they are C. */
extern "C" {
#include <cmocka.h>
}

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <initializer_list>
#include <new>
#include <sys/resource.h>
#include <unistd.h>

#include "names.h"

namespace {

constexpr std::size_t mib = 1 << 20;
constexpr std::size_t sizes[] = {0, 1, 8, 9, 16, 100, 4096, 32768, 32769, mib};

std::size_t opaque(std::size_t value) {
    asm volatile("" : "+r"(value));
    return value;
}

void *keep(void *ptr) {
    asm volatile("" : "+r"(ptr) : : "memory");
    return ptr;
}

std::size_t allocated() {
    goalloc_stats stats;
    goalloc_get_stats(&stats);
    return stats.allocated;
}

/* The block counts in goalloc's books, is aligned and can be written to its end. */
void check_block(void *ptr, std::size_t size, std::size_t alignment, std::size_t before) {
    assert_non_null(keep(ptr));
    assert_true((reinterpret_cast<std::uintptr_t>(ptr) & (alignment - 1)) == 0);
    std::size_t usable = malloc_usable_size(ptr);
    assert_true(usable >= size);
    assert_true(usable > 0);
    assert_true(allocated() == before + usable);
    std::memset(ptr, 0x5a, usable);
}

/* Calls one form of new and the given forms of delete. */
template <typename New, typename Delete>
void check_pair(New allocate, Delete release, std::size_t alignment) {
    for (std::size_t size : sizes) {
        std::size_t before = allocated();
        errno = 12321;
        void *ptr = allocate(opaque(size));
        assert_int_equal(errno, 12321);
        check_block(ptr, size, alignment > 0 ? alignment : size > 8 ? 16 : 8, before);
        errno = 12321;
        release(ptr, size);
        assert_int_equal(errno, 12321);
        assert_true(allocated() == before);
    }
}

/* The others are the C++ runtime's, and call these. */
void test_names_are_ours(void **) {
    const char *const names[] = {
        "_Znwm",
        "_Znam",
        "_ZnwmSt11align_val_t",
        "_ZdlPv",
        "_ZdaPv",
        "_ZdlPvm",
        "_ZdaPvm",
        "_ZdlPvSt11align_val_t",
        "_ZdlPvmSt11align_val_t",
    };
    for (const char *name : names) {
        Dl_info info;
        void *address = dlsym(RTLD_DEFAULT, name);
        assert_non_null(address);
        assert_true(dladdr(address, &info) != 0);
        if (std::strstr(info.dli_fname, API_LIBRARY) == nullptr) {
            fail_msg("%s is in %s", name, info.dli_fname);
        }
    }
}

void test_plain_forms(void **) {
    auto plain = [](std::size_t n) { return ::operator new(n); };
    auto array = [](std::size_t n) { return ::operator new[](n); };
    check_pair(
        plain, [](void *p, std::size_t) { ::operator delete(p); }, 0);
    check_pair(
        plain, [](void *p, std::size_t n) { ::operator delete(p, n); }, 0);
    check_pair(
        plain, [](void *p, std::size_t) { ::operator delete(p, std::nothrow); }, 0);
    check_pair(
        array, [](void *p, std::size_t) { ::operator delete[](p); }, 0);
    check_pair(
        array, [](void *p, std::size_t n) { ::operator delete[](p, n); }, 0);
    check_pair(
        array, [](void *p, std::size_t) { ::operator delete[](p, std::nothrow); }, 0);
}

void test_nothrow_forms(void **) {
    auto plain = [](std::size_t n) { return ::operator new(n, std::nothrow); };
    auto array = [](std::size_t n) { return ::operator new[](n, std::nothrow); };
    check_pair(
        plain, [](void *p, std::size_t) { ::operator delete(p); }, 0);
    check_pair(
        plain, [](void *p, std::size_t) { ::operator delete(p, std::nothrow); }, 0);
    check_pair(
        array, [](void *p, std::size_t) { ::operator delete[](p); }, 0);
    check_pair(
        array, [](void *p, std::size_t) { ::operator delete[](p, std::nothrow); }, 0);
}

void test_aligned_plain_forms(void **) {
    for (std::size_t alignment = 1; alignment <= 4 * mib; alignment *= 2) {
        std::align_val_t a{alignment};
        auto plain = [a](std::size_t n) { return ::operator new(n, a); };
        auto quiet = [a](std::size_t n) { return ::operator new(n, a, std::nothrow); };
        auto by_address = [a](void *p, std::size_t) { ::operator delete(p, a); };
        auto by_size = [a](void *p, std::size_t n) { ::operator delete(p, n, a); };
        auto quietly = [a](void *p, std::size_t) { ::operator delete(p, a, std::nothrow); };
        check_pair(plain, by_address, alignment);
        check_pair(plain, by_size, alignment);
        check_pair(plain, quietly, alignment);
        check_pair(quiet, by_address, alignment);
        check_pair(quiet, quietly, alignment);
    }
}

void test_aligned_array_forms(void **) {
    for (std::size_t alignment = 1; alignment <= 4 * mib; alignment *= 2) {
        std::align_val_t a{alignment};
        auto array = [a](std::size_t n) { return ::operator new[](n, a); };
        auto quiet = [a](std::size_t n) { return ::operator new[](n, a, std::nothrow); };
        auto by_address = [a](void *p, std::size_t) { ::operator delete[](p, a); };
        auto by_size = [a](void *p, std::size_t n) { ::operator delete[](p, n, a); };
        auto quietly = [a](void *p, std::size_t) { ::operator delete[](p, a, std::nothrow); };
        check_pair(array, by_address, alignment);
        check_pair(array, by_size, alignment);
        check_pair(array, quietly, alignment);
        check_pair(quiet, by_address, alignment);
        check_pair(quiet, quietly, alignment);
    }
}

void test_delete_null(void **) {
    std::align_val_t a{64};
    errno = 12321;
    ::operator delete(nullptr);
    ::operator delete (nullptr, std::size_t{8});
    ::operator delete(nullptr, std::nothrow);
    ::operator delete(nullptr, a);
    ::operator delete (nullptr, std::size_t{8}, a);
    ::operator delete(nullptr, a, std::nothrow);
    ::operator delete[](nullptr);
    ::operator delete[](nullptr, std::size_t{8});
    ::operator delete[](nullptr, std::nothrow);
    ::operator delete[](nullptr, a);
    ::operator delete[](nullptr, std::size_t{8}, a);
    ::operator delete[](nullptr, a, std::nothrow);
    assert_int_equal(errno, 12321);
}

template <typename Exception, typename Call> bool throws(Call call) {
    try {
        keep(call());
    } catch (const Exception &) {
        return true;
    }
    return false;
}

constexpr std::size_t absurd = SIZE_MAX / 2 + 100;

void test_failure_throws_bad_alloc(void **) {
    for (std::size_t n : {absurd, SIZE_MAX, SIZE_MAX - 64, std::size_t{PTRDIFF_MAX}}) {
        std::align_val_t a{64};
        assert_true(throws<std::bad_alloc>([=] { return ::operator new(opaque(n)); }));
        assert_true(throws<std::bad_alloc>([=] { return ::operator new[](opaque(n)); }));
        assert_true(throws<std::bad_alloc>([=] { return ::operator new(opaque(n), a); }));
        assert_true(throws<std::bad_alloc>([=] { return ::operator new[](opaque(n), a); }));
    }
}

void check_nothrow_forms_fail() {
    std::align_val_t a{64};
    assert_null(keep(::operator new(opaque(absurd), std::nothrow)));
    assert_null(keep(::operator new[](opaque(absurd), std::nothrow)));
    assert_null(keep(::operator new(opaque(absurd), a, std::nothrow)));
    assert_null(keep(::operator new[](opaque(absurd), a, std::nothrow)));
}

void test_nothrow_failure_is_null(void **) {
    check_nothrow_forms_fail();
}

/* One catch must not make the next throw fail: the exception itself needs memory. */
void test_bad_alloc_again_and_again(void **) {
    for (int i = 0; i < 1000; i++) {
        assert_true(throws<std::bad_alloc>([] { return ::operator new(opaque(absurd)); }));
    }
}

void test_array_expressions(void **) {
    /* bad_array_new_length, which is one of them, from gcc; clang asks for SIZE_MAX bytes. */
    assert_true(throws<std::bad_alloc>([] { return new int[opaque(SIZE_MAX / 2)]; }));
    assert_true(throws<std::bad_alloc>([] { return new char[opaque(absurd)]; }));
    assert_null(keep(new (std::nothrow) char[opaque(SIZE_MAX / 4)]));
    int *numbers = new int[opaque(1000)];
    assert_true(malloc_usable_size(keep(numbers)) >= 1000 * sizeof(int));
    delete[] numbers;
}

int handler_calls;

struct own_exception {};

void handler_that_gives_up_on_the_third_call() {
    if (++handler_calls == 3) {
        std::set_new_handler(nullptr);
    }
}

void handler_that_throws_its_own() {
    handler_calls++;
    throw own_exception();
}

void handler_that_throws_bad_alloc() {
    handler_calls++;
    throw std::bad_alloc();
}

void test_handler_is_called_until_it_is_gone(void **) {
    handler_calls = 0;
    std::set_new_handler(handler_that_gives_up_on_the_third_call);
    assert_true(throws<std::bad_alloc>([] { return ::operator new(opaque(absurd)); }));
    assert_int_equal(handler_calls, 3);

    handler_calls = 0;
    std::set_new_handler(handler_that_gives_up_on_the_third_call);
    assert_null(keep(::operator new(opaque(absurd), std::nothrow)));
    assert_int_equal(handler_calls, 3);
}

void test_handler_may_throw_its_own(void **) {
    std::align_val_t a{64};
    handler_calls = 0;
    std::set_new_handler(handler_that_throws_its_own);
    assert_true(throws<own_exception>([] { return ::operator new(opaque(absurd)); }));
    assert_true(throws<own_exception>([] { return ::operator new[](opaque(absurd)); }));
    assert_true(throws<own_exception>([=] { return ::operator new(opaque(absurd), a); }));
    std::set_new_handler(nullptr);
    assert_int_equal(handler_calls, 3);
}

void test_nothrow_forms_catch_bad_alloc_of_the_handler(void **) {
    handler_calls = 0;
    std::set_new_handler(handler_that_throws_bad_alloc);
    check_nothrow_forms_fail();
    std::set_new_handler(nullptr);
    assert_int_equal(handler_calls, 4);
}

/* A list of blocks that the handler below frees when memory ends. */
struct reserve_block {
    reserve_block *next;
};

constexpr std::size_t reserve_block_size = 4 * mib;
reserve_block *reserve;

void handler_that_frees_the_reserve() {
    handler_calls++;
    while (reserve != nullptr) {
        reserve_block *next = reserve->next;
        ::operator delete(reserve);
        reserve = next;
    }
    if (handler_calls > 1) {
        std::set_new_handler(nullptr);
    }
}

/* Bytes that count against RLIMIT_DATA, from the sixth field of statm. */
std::size_t data_bytes() {
    char text[256] = {};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    const char *field = text;
    for (int i = 0; i < 5; i++) {
        field = std::strchr(field, ' ') + 1;
    }
    return std::strtoull(field, nullptr, 10) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t fill_up_the_reserve() {
    std::size_t blocks = 0;
    for (;;) {
        void *ptr = ::operator new(opaque(reserve_block_size), std::nothrow);
        if (ptr == nullptr) {
            return blocks;
        }
        reserve = new (ptr) reserve_block{reserve};
        blocks++;
        assert_true(blocks < 10000);
    }
}

void test_handler_may_free_memory(void **) {
    rlimit old;
    assert_int_equal(getrlimit(RLIMIT_DATA, &old), 0);
    rlimit tight = {data_bytes() + 64 * mib, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_DATA, &tight), 0);
    rlimit now;
    assert_int_equal(getrlimit(RLIMIT_DATA, &now), 0);
    if (now.rlim_cur != tight.rlim_cur) {
        skip(); /* an emulator that only pretends to limit its guest */
    }
    std::size_t blocks = fill_up_the_reserve();
    handler_calls = 0;
    std::set_new_handler(handler_that_frees_the_reserve);
    void *ptr = nullptr;
    bool failed = throws<std::bad_alloc>([&] { return ptr = ::operator new(5 * mib); });
    std::set_new_handler(nullptr);
    assert_int_equal(setrlimit(RLIMIT_DATA, &old), 0);
    assert_true(blocks >= 8);
    assert_false(failed);
    assert_int_equal(handler_calls, 1);
    ::operator delete(keep(ptr));
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_ours),
        cmocka_unit_test(test_plain_forms),
        cmocka_unit_test(test_nothrow_forms),
        cmocka_unit_test(test_aligned_plain_forms),
        cmocka_unit_test(test_aligned_array_forms),
        cmocka_unit_test(test_delete_null),
        cmocka_unit_test(test_failure_throws_bad_alloc),
        cmocka_unit_test(test_nothrow_failure_is_null),
        cmocka_unit_test(test_bad_alloc_again_and_again),
        cmocka_unit_test(test_array_expressions),
        cmocka_unit_test(test_handler_is_called_until_it_is_gone),
        cmocka_unit_test(test_handler_may_throw_its_own),
        cmocka_unit_test(test_nothrow_forms_catch_bad_alloc_of_the_handler),
        cmocka_unit_test(test_handler_may_free_memory),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
