#include "names.h"

#include <string.h>

/* A name stands before those that it begins. textgen_symbols_match relies on this order. */
static int compare(textgen_view a, textgen_view b) {
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
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

size_t textgen_names_rank(const textgen_name *names, size_t count, textgen_view text) {
    size_t first = 0;
    while (count > 0) {
        const size_t half = count / 2;
        if (compare(names[first + half].name, text) <= 0) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

const textgen_name *textgen_names_find(const textgen_name *names, size_t count, textgen_view name) {
    const size_t rank = textgen_names_rank(names, count, name);
    return rank > 0 && textgen_views_equal(names[rank - 1].name, name) ? &names[rank - 1] : NULL;
}
