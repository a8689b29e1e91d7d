/*
 * Frees at the very end of a process: in atexit handlers, destructors of static objects, and
 * destructor functions of the program, which run after them. The program returns 1 from main; only
 * the last of all these functions, reached with every step done, turns that into a success.
 */
#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

#include "life.h"

namespace {

int steps_done;
void *blocks_for_atexit[40];
void *blocks_for_destructor[40];

void *one_of(std::size_t i) {
    return life_block(i * i * 50);
}

void free_all(void *(&blocks)[40]) {
    for (std::size_t i = 0; i < 40; i++) {
        life_check_block(blocks[i], i * i * 50);
        std::free(blocks[i]);
    }
    life_exercise_heap();
    steps_done++;
}

struct static_object {
    std::vector<std::string> texts;
    static_object() : texts(100, std::string(500, 'z')) {}
    ~static_object() {
        CHECK(texts[99][499] == 'z', "static data changed");
        texts.clear();
        life_exercise_heap();
        steps_done++;
    }
};

static_object object;

void at_exit() {
    free_all(blocks_for_atexit);
}

__attribute__((destructor(101))) void very_last() {
    free_all(blocks_for_destructor);
    CHECK(steps_done == 3, "%d steps of 3 were done", steps_done);
    _exit(0);
}

} // namespace

int main() {
    life_require_goalloc();
    for (std::size_t i = 0; i < 40; i++) {
        blocks_for_atexit[i] = one_of(i);
        blocks_for_destructor[i] = one_of(i);
    }
    std::atexit(at_exit);
    return 1;
}
