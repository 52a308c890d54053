"""The parameters of the filters between the logits and the draw.

``Filters`` is the one place that checks them. ``runtime/core/filters.c`` applies them.
"""

cimport cython
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY

from .c_sampler cimport TEXTGEN_MAX_PENALTY_WINDOW

from textgen_runtime.errors import SamplingError, quote

MAX_TOP_K = MAX_TOKEN = 2**31 - 1
MAX_PENALTY_WINDOW = TEXTGEN_MAX_PENALTY_WINDOW

cdef dict DEFAULTS = {
    "top_k": 0,
    "typical_p": 1.0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "penalty_window": 64,
    "mirostat_tau": 0.0,
    "mirostat_eta": 0.1,
    "logit_bias": (),
}


cdef object checked_integer(str name, object value, object low, object high):
    """Return a value as an int of a range, inclusive."""
    value = int(PyNumber_Index(value))
    if not low <= value <= high:
        raise SamplingError(f"{name} must be from {low} to {high}, not {quote(value)}")
    return value


cdef double as_double(object value) except? -1.0:
    try:
        return value
    except OverflowError:
        # An int that is too large for a double. It is out of every range.
        return INFINITY


cdef double checked_in_range(str name, object value, double low, double high) except? -1.0:
    """Return a value as a double of a range, inclusive."""
    cdef double number = as_double(value)
    if not low <= number <= high:
        raise SamplingError(f"{name} must be from {low:g} to {high:g}, not {quote(value)}")
    return number


cdef double checked_positive(str name, object value, double high) except -1.0:
    """Return a value as a double that is more than 0."""
    cdef double number = as_double(value)
    if not 0.0 < number <= high:
        raise SamplingError(f"{name} must be more than 0 and at most {high:g}, not {quote(value)}")
    return number


cdef tuple checked_bias(object logit_bias):
    """Return the biases that are not 0 as pairs of token and value, sorted by token."""
    cdef dict biases = {}
    cdef double number
    for token, value in dict(logit_bias).items():
        token = checked_integer("a token of logit_bias", token, 0, MAX_TOKEN)
        number = as_double(value)
        if not (-100.0 <= number <= 100.0 or number == -INFINITY):
            raise SamplingError(
                f"the logit bias of token {token} must be from -100 to 100, or -inf to forbid the token, "
                f"not {quote(value)}"
            )
        if number:
            biases[token] = number
    return tuple(sorted(biases.items()))


cdef bint is_changed(Filters filters, str name) except -1:
    """Return whether a parameter differs from its default, with which no filter is on."""
    return getattr(filters, name) != DEFAULTS[name]


@cython.final
cdef class Filters:
    """What a ``Sampler`` does to the logits before the temperature. Immutable and hashable.

    The filters work in this order: logit bias, penalties, ``top_k``, ``typical_p``, ``top_p``, ``min_p``. The
    last four are truncations: they remove tokens. Each works on the softmax, at temperature 1, of the tokens
    that the earlier ones left, and leaves at least one token. Of equal logits, the lowest token counts as the
    most likely. Mirostat takes the place of the truncations. The temperature and the draw follow.

    The penalties count the tokens that the sampler drew, not those of a prompt.

    Args:
        top_k: Keep this many of the most likely tokens. 0 is off. Source: Fan et al. 2018, Hierarchical
            Neural Story Generation.
        typical_p: Keep the tokens whose surprisal is nearest to the entropy, as few as have at least this
            probability together. More than 0, at most 1; 1 is off. Source: Meister et al. 2022, Locally
            Typical Sampling.
        top_p: Keep the most likely tokens, as few as have at least this probability together. More than 0,
            at most 1; 1 is off. Source: Holtzman et al. 2019, The Curious Case of Neural Text Degeneration.
        min_p: Keep the tokens of at least this probability, relative to that of the most likely token. From 0
            to 1; 0 is off. Source: Nguyen et al. 2024, Turning Up the Heat: Min-p Sampling for Creative and
            Coherent LLM Outputs.
        repetition_penalty: Divide the positive logits of recent tokens by this number, and multiply the
            negative ones by it. More than 0, at most 100; 1 is off. Source: Keskar et al. 2019, CTRL: A
            Conditional Transformer Language Model for Controllable Generation, in the form of its
            implementations, which treat the signs of the logits differently.
        frequency_penalty: Subtract this number from the logit of a token for each time that it is among the
            recent tokens. From -100 to 100; 0 is off. Source: the API reference of OpenAI.
        presence_penalty: Subtract this number from the logits of the recent tokens. From -100 to 100; 0 is
            off. Source: the API reference of OpenAI.
        penalty_window: How many of the latest drawn tokens are recent tokens, from 1 to 1024. Source: the
            option ``repeat-last-n`` of llama.cpp.
        mirostat_tau: The surprisal that the drawn tokens shall have on average, in bits. From 0 to 100; 0 is
            off. Source: Basu et al. 2020, Mirostat: A Neural Text Decoding Algorithm that Directly Controls
            Perplexity, Algorithm 2.
        mirostat_eta: How fast mirostat corrects a difference from ``mirostat_tau``. More than 0, at most 1.
        logit_bias: Numbers that are added to the logits: a mapping from tokens to numbers from -100 to 100,
            or -inf to forbid a token. A bias of 0 is dropped.

    Each parameter is also an attribute.

    Attributes:
        logit_bias: The biases as pairs (token, number), sorted by token.
        active: Whether a filter is on. If not, the sampler draws as if it had no filters.

    Raises:
        SamplingError: If a parameter is out of range, or if mirostat and a truncation are both on.
        TypeError: If a parameter has the wrong type.
    """

    def __cinit__(
        self,
        top_k=0,
        typical_p=1.0,
        top_p=1.0,
        min_p=0.0,
        repetition_penalty=1.0,
        frequency_penalty=0.0,
        presence_penalty=0.0,
        penalty_window=64,
        mirostat_tau=0.0,
        mirostat_eta=0.1,
        logit_bias=None,
    ):
        self.top_k = checked_integer("top_k", top_k, 0, MAX_TOP_K)
        self.typical_p = checked_positive("typical_p", typical_p, 1.0)
        self.top_p = checked_positive("top_p", top_p, 1.0)
        self.min_p = checked_in_range("min_p", min_p, 0.0, 1.0)
        self.repetition_penalty = checked_positive("repetition_penalty", repetition_penalty, 100.0)
        self.frequency_penalty = checked_in_range("frequency_penalty", frequency_penalty, -100.0, 100.0)
        self.presence_penalty = checked_in_range("presence_penalty", presence_penalty, -100.0, 100.0)
        self.penalty_window = checked_integer("penalty_window", penalty_window, 1, MAX_PENALTY_WINDOW)
        self.mirostat_tau = checked_in_range("mirostat_tau", mirostat_tau, 0.0, 100.0)
        self.mirostat_eta = checked_positive("mirostat_eta", mirostat_eta, 1.0)
        self.logit_bias = checked_bias(logit_bias) if logit_bias is not None else ()
        truncations = [name for name in ("top_k", "typical_p", "top_p", "min_p") if is_changed(self, name)]
        if self.mirostat_tau and truncations:
            raise SamplingError(
                f"mirostat_tau takes the place of {', '.join(truncations)}: turn it off, or the others"
            )
        self.penalizes = bool(
            self.repetition_penalty != 1.0 or self.frequency_penalty or self.presence_penalty
        )
        self.active = bool(truncations or self.penalizes or self.mirostat_tau or self.logit_bias)

    def as_dict(self):
        """Return the parameters by name, as arguments for ``Filters``."""
        return {name: getattr(self, name) for name in DEFAULTS}

    def replace(self, **options):
        """Return a copy with changed parameters. Raises the errors of ``Filters``."""
        return Filters(**(self.as_dict() | options))

    def __eq__(self, other):
        return self.as_dict() == other.as_dict() if isinstance(other, Filters) else NotImplemented

    def __hash__(self):
        return hash(tuple(self.as_dict().values()))

    def __repr__(self):
        shown = [f"{name}={getattr(self, name)!r}" for name in DEFAULTS if is_changed(self, name)]
        return f"Filters({', '.join(shown)})"

    def __reduce__(self):
        return Filters, tuple(self.as_dict().values())
