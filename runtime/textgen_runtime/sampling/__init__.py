"""Apply a temperature to logits, and draw tokens from them. Wraps ``runtime/core/sampler.c``.

``textgen_reweight`` in ``runtime/core/sampler_body.h`` divides the logits by the temperature. All draws, and
``reweight`` and ``softmax``, call that function. ``parameters`` lists the places to change for a new sampling
parameter.
"""
