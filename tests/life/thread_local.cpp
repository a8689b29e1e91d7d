/*
 * Destructors of C++ thread_local objects that allocate and free, in threads and in main. They
 * run before the destructors of thread-specific data, and one may bring another object to life.
 */
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "life.h"

namespace {

constexpr int thread_count = 2000;
constexpr int warm_up = 1000;

std::atomic<int> late_objects_destroyed;

struct late_object {
    std::vector<std::string> texts;
    ~late_object() {
        texts.emplace_back(5000, 'x');
        life_exercise_heap();
        late_objects_destroyed++;
    }
};

thread_local late_object late;

struct early_object {
    std::unique_ptr<std::vector<int>> numbers = std::make_unique<std::vector<int>>(1000, 7);
    ~early_object() {
        numbers->resize(30000, 7);
        CHECK(numbers->front() == 7 && numbers->back() == 7, "numbers changed");
        late.texts.assign(20, std::string(100, 'y'));
        void *block = life_block(400);
        std::free(block);
    }
};

thread_local early_object early;

void use_thread_locals() {
    early.numbers->push_back(7);
}

void run_threads(int count) {
    for (int i = 0; i < count; i++) {
        std::thread(use_thread_locals).join();
    }
}

} // namespace

int main() {
    life_require_goalloc();
    use_thread_locals();
    run_threads(warm_up);
    std::size_t before = life_resident();
    run_threads(thread_count - warm_up);
    std::size_t after = life_resident();
    CHECK(late_objects_destroyed == thread_count, "%d late objects destroyed",
          late_objects_destroyed.load());
    CHECK(after <= before + MIB, "resident %zu KiB grew to %zu KiB", before / KIB, after / KIB);
    return 0;
}
