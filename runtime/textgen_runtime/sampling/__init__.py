"""Apply filters and a temperature to logits, and draw tokens from them. Wraps ``runtime/core/sampler.c``.

``runtime/core/parameters.def`` defines the parameters. ``PARAMETERS`` describes them, and ``Sampling`` checks
them. ``textgen_reweight`` in ``runtime/core/sampler_body.h`` divides the logits by the temperature.
``reweight``, ``softmax`` and all draws at temperatures above 0 call that function.

``automata`` has the finite automata that end a text and allow its tokens: stop texts and constraints.
"""
