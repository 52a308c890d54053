"""``Sampling``, the parameters of a text, which ``runtime/core/parameters.def`` defines."""
