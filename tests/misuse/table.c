/*
 * One mistake on one size of block, for any allocator: what does it do, and when? Used by table,
 * which preloads allocators and reads the marks that this program writes to descriptor 3: '1' just
 * before the mistake, '2' when the calls are over in which it could be seen at once, '3' at the end
 * of some work in which it could be seen later.
 *
 *     table_misuse MISTAKE SIZE
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LATER_MOST = 4000, LATER_BYTES = 64 << 20 };

/* The C++ names of new, delete and sized delete. */
void *_Znwm(size_t size);
void _ZdlPvm(void *block, size_t size);

static size_t size;

/* The pointer, hidden from the compiler, which would see the mistake. */
static char *hide(void *block) {
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static void mark(char c) {
    if (write(3, &c, 1) != 1) {
        _exit(2);
    }
}

static char *new_block(void) {
    char *block = hide(malloc(size));
    memset(block, 'a', size);
    return block;
}

/* ---- mistakes ---- */

/* Behind what was asked for, which need not be behind what the block has. */
static void overflow(size_t bytes) {
    char *block = new_block();
    mark('1');
    memset(hide(block + size), 'X', bytes);
    free(block);
}

static void overflow_1(void) {
    overflow(1);
}

static void overflow_32(void) {
    overflow(32);
}

static void underflow(void) {
    char *block = new_block();
    mark('1');
    memset(hide(block - 8), 'X', 8);
    free(block);
}

static void double_immediate(void) {
    char *block = new_block();
    free(block);
    mark('1');
    free(hide(block));
}

static void double_delayed(void) {
    char *blocks[100];
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = new_block();
    }
    for (size_t i = 0; i < 100; i++) {
        free(blocks[i]);
    }
    mark('1');
    free(hide(blocks[50]));
}

static void double_interleaved(void) {
    char *a = new_block(), *b = new_block();
    free(a);
    free(b);
    mark('1');
    free(hide(a));
}

/* The first pointer frees a block that is another's by now, whose own free is the second. */
static void double_after_reuse(void) {
    char *old = new_block(), *now;
    free(old);
    now = new_block();
    mark('1');
    free(hide(old));
    free(hide(now));
}

static void free_stack(void) {
    char block[256];
    memset(block, 'a', sizeof block);
    mark('1');
    free(hide((char *)((uintptr_t)(block + 64) & ~(uintptr_t)15)));
}

static void free_wild(void) {
    mark('1');
    free(hide((void *)(uintptr_t)0x123456789000));
}

static void free_interior(void) {
    char *block = new_block();
    mark('1');
    free(hide(block + size / 2 / 16 * 16));
}

static void free_unaligned(void) {
    char *block = new_block();
    mark('1');
    free(hide(block + 1));
}

static void write_after_free(void) {
    char *block = new_block();
    free(block);
    mark('1');
    memset(hide(block + size / 2), 'X', 8);
}

static void read_after_free(void) {
    char *block = new_block();
    free(block);
    mark('1');
    hide((void *)(uintptr_t) * (volatile char *)(hide(block + size / 2)));
}

static void wrong_delete(void) {
    char *block = hide(_Znwm(size));
    memset(block, 'a', size);
    mark('1');
    _ZdlPvm(block, size * 4);
}

/* Not one: what goes wrong here makes the allocator unfit for the table. */
static void none(void) {
    free(new_block());
    mark('1');
}

/* ---- later ---- */

/* Reuses what was freed, and fills and empties every cache of the size. */
static void *work_on(void *unused) {
    static char *blocks[LATER_MOST];
    size_t count = LATER_BYTES / size < LATER_MOST ? LATER_BYTES / size : LATER_MOST;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = new_block();
    }
    for (size_t i = 0; i < count; i++) {
        free(blocks[i]);
    }
    return unused;
}

static void work_later(void) {
    pthread_t thread;
    work_on(NULL);
    malloc_trim(0);
    if (pthread_create(&thread, NULL, work_on, NULL) == 0) {
        pthread_join(thread, NULL);
    }
}

static const struct {
    const char *name;
    void (*make)(void);
} mistakes[] = {
    {"none", none},
    {"overflow_1", overflow_1},
    {"overflow_32", overflow_32},
    {"underflow", underflow},
    {"double_immediate", double_immediate},
    {"double_interleaved", double_interleaved},
    {"double_delayed", double_delayed},
    {"double_after_reuse", double_after_reuse},
    {"free_stack", free_stack},
    {"free_wild", free_wild},
    {"free_interior", free_interior},
    {"free_unaligned", free_unaligned},
    {"write_after_free", write_after_free},
    {"read_after_free", read_after_free},
    {"wrong_delete", wrong_delete},
};

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    size = strtoul(argv[2], NULL, 10);
    char *neighbours[] = {new_block(), new_block(), new_block()};
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        if (strcmp(argv[1], mistakes[i].name) == 0) {
            mistakes[i].make();
            mark('2');
            work_later();
            for (size_t n = 0; n < 3; n++) {
                free(neighbours[n]);
            }
            mark('3');
            return 0;
        }
    }
    return 2;
}
