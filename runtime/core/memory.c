/* madvise is not in POSIX, and a strict C compiler hides it unless asked. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#endif

#include "memory.h"

#include <stdlib.h>

#if defined(__linux__)

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)1 << 21)

#endif

void *textgen_zeroed(size_t bytes) {
    char *memory = calloc(1, bytes);
#if defined(__linux__)
    /* To touch each of a large model's small pages for the first time takes longer than to load it. Huge pages
     * are a wish: a system without them grants small ones. */
    if (memory != NULL && bytes >= 2 * HUGE_PAGE) {
        const size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
        (void)madvise(memory + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
#endif
    return memory;
}
