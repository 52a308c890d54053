#include "names.h"

#include <string.h>

/* Any total order works. Lengths are compared first because that is fast. */
static int compare(textgen_view a, textgen_view b) {
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size == 0 ? 0 : memcmp(a.data, b.data, a.size);
}

static void sift_down(textgen_name *names, size_t root, size_t count) {
    const textgen_name moved = names[root];
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && compare(names[child].name, names[child + 1].name) < 0) {
            child++;
        }
        if (compare(moved.name, names[child].name) >= 0) {
            break;
        }
        names[root] = names[child];
        root = child;
    }
    names[root] = moved;
}

/* Heapsort, because the C library's qsort may take quadratic time or allocate memory. */
const textgen_name *textgen_names_sort(textgen_name *names, size_t count) {
    for (size_t root = count / 2; root > 0; root--) {
        sift_down(names, root - 1, count);
    }
    for (size_t end = count; end > 1; end--) {
        const textgen_name last = names[0];
        names[0] = names[end - 1];
        names[end - 1] = last;
        sift_down(names, 0, end - 1);
    }
    for (size_t i = 1; i < count; i++) {
        if (textgen_views_equal(names[i - 1].name, names[i].name)) {
            return &names[i];
        }
    }
    return NULL;
}

const textgen_name *textgen_names_find(const textgen_name *names, size_t count, textgen_view name) {
    size_t first = 0;
    while (count > 0) {
        const size_t half = count / 2;
        const int order = compare(names[first + half].name, name);
        if (order == 0) {
            return &names[first + half];
        }
        if (order < 0) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return NULL;
}
