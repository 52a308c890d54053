/* Under -std=c11 madvise is declared only if this macro is defined. */
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

void *textgen_allocate_zeroed(size_t bytes) {
    char *memory = calloc(1, bytes);
#if defined(__linux__)
    /* Page faults on small pages would take longer than loading a large model. Systems without huge pages
     * ignore the advice. */
    if (memory != NULL && bytes >= 2 * HUGE_PAGE) {
        const size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
        (void)madvise(memory + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
#endif
    return memory;
}
