/* See filters.h for how to add a filter. */
#include "filters.h"

void textgen_filters_apply(const textgen_filter_chain *chain, double *logits, size_t count) {
    size_t i;
    for (i = 0; i < chain->count; i++) {
        chain->filters[i]->apply(chain->filters[i], logits, count);
    }
}

void textgen_filters_accept(const textgen_filter_chain *chain, int64_t token) {
    size_t i;
    for (i = 0; i < chain->count; i++) {
        chain->filters[i]->accept(chain->filters[i], token);
    }
}
