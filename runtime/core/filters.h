/* The chain of filters between the logits and the draw, for example top-k, min-p or a repetition penalty.
 *
 * A filter changes a float64 copy of the logits before temperature and draw. An empty chain costs nothing.
 *
 * To add a filter:
 *   1. Define a structure in filters.h whose first member is a textgen_filter, followed by the parameters and
 *      state of the filter. Write its `apply` and `accept` in filters.c. `apply` forbids a token by setting its
 *      logit to -infinity; it must leave at least one finite.
 *   2. Put a pointer to it into the chain of a textgen_sampler (sampler.h), in the order of application.
 *      tests/core/filters.c shows this with a small filter.
 *   3. For the public API, add its parameters at the end of textgen_sampling and to TEXTGEN_SAMPLING_DEFAULT
 *      (textgen.h), update the size check in structs.c, and build the chain in set_sampling (stream.c). Store
 *      the filters inside textgen_stream (handles.h).
 *   4. For the Python runtime (runtime/textgen_runtime): sampling/c_sampler.pxd, sampling/sampler.pyx, .pxd and
 *      .pyi, sampling/parameters.py, engines/lanes.pyx, engines/onnxruntime.py, cli/_sampling_arguments.py.
 *
 * No stream has filters yet. Before one does, these functions must treat the chain:
 *   - A chain holds pointers, so a copy of a textgen_sampler shares its filters with the original.
 *     textgen_stream_copy (stream.c) and Lanes.copy_samplers (engines/lanes.pyx) copy samplers.
 *   - Lanes.store_samplers writes back only the random numbers. Snapshot (generation/generation.py) restores
 *     only their position. A filter with state, such as a repetition penalty, needs more.
 *   - textgen_sampler_init clears the chain. set_sampling (stream.c) calls it if the seed changes, and
 *     Sampler.replace_held_lock (sampling/sampler.pyx) calls it in a forked process.
 *   - textgen_entropy_float (sampler.c) ignores the chain. sum_entropies (generate.c) calls it. */
#ifndef TEXTGEN_FILTERS_H
#define TEXTGEN_FILTERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct textgen_filter textgen_filter;
struct textgen_filter {
    void (*apply)(textgen_filter *self, double *logits, size_t count); /* change the logits, [count] */
    void (*accept)(textgen_filter *self, int64_t token);               /* note the token that was drawn */
};

typedef struct {
    textgen_filter *const *filters; /* [count], in the order of application */
    size_t count;
} textgen_filter_chain;

/* Apply all filters to the logits, [count], in place. */
void textgen_filters_apply(const textgen_filter_chain *chain, double *logits, size_t count);

/* Pass the drawn token to all filters. */
void textgen_filters_accept(const textgen_filter_chain *chain, int64_t token);

#endif
