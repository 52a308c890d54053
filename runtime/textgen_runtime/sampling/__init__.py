"""Apply a temperature to logits, and draw tokens from them. Wraps ``runtime/core/sampler.c``.

``textgen_reweight`` in ``runtime/core/sampler_body.h`` divides the logits by the temperature. ``reweight``,
``softmax`` and all draws at temperatures above 0 call that function. ``runtime/core/filters.h`` lists the
places to change for a new filter, such as top-k.
"""
