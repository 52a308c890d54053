"""Apply filters and a temperature to logits, and draw tokens from them. Wraps ``runtime/core/sampler.c``.

``runtime/core/parameters.def`` defines the parameters. ``PARAMETERS`` describes them, and ``Sampling`` checks
them. ``textgen_reweight`` in ``runtime/core/sampler.c`` divides the logits by the temperature.
``reweight``, ``softmax`` and all draws at temperatures above 0 call that function.

``tables`` has the tables that a text follows: stop texts, constraints, and spans that must not be copied.
"""
