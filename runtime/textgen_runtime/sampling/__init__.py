"""Apply filters and a temperature to logits, and draw tokens from them. Wraps ``runtime/core/sampler.c``.

``Filters`` checks the parameters of the filters, such as top-k. ``filter_block`` makes the memory that the C
core works on. ``runtime/core/filters.h`` lists the places to change for a new filter. ``textgen_reweight`` in
``runtime/core/sampler_body.h`` divides the logits by the temperature. ``reweight``, ``softmax`` and all draws
at temperatures above 0 call that function.

``automata`` has the finite automata that end a text and allow its tokens: stop texts and constraints.
"""
