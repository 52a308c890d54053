"""``Sampling``: all parameters that control the generation of a text.

To add a parameter, add it to ``Sampling.__slots__``, ``Sampling.__init__``, ``SamplingOptions`` and
``cli/_sampling_arguments.py``. A parameter of the filters also needs the places that
``runtime/core/filters.h`` lists. ``generate``, ``stream``, ``start`` and saved generations use ``Sampling``
and need no change. ``generation/controls.py`` converts the characters of a ``Sampling`` to the tokens of a
model.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from textgen_runtime.errors import SamplingError, quote

from ._parameter_checks import (
    check_number,
    checked_biases,
    checked_choices,
    checked_integer,
    checked_text,
    checked_texts,
    is_finite,
    schema_text,
)
from .sampler import Filters

DEFAULT_TEMPERATURE = 0.5

# The parameters that constrain the complete text. At most one of them may be given.
CONSTRAINTS = ("match", "choices", "json_schema")

# A larger bias makes a character certain or impossible, for which there are `allowed` and `banned`.
MAX_LOGIT_BIAS = 100.0

MAX_RESAMPLE = 10_000

# Engines count in 64 bits.
MAX_LENGTH = 2**63 - 1


class FilterOptions(TypedDict, total=False):
    """The parameters of the filters that do not depend on the vocabulary."""

    top_k: int
    typical_p: float
    top_p: float
    min_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_window: int
    mirostat_tau: float
    mirostat_eta: float


class SamplingOptions(FilterOptions, total=False):
    """The parameters of ``Sampling`` as keywords of ``generate``, ``stream`` and ``start``."""

    temperature: float
    logit_bias: Mapping[str, float] | Iterable[tuple[str, float]]
    allowed: Iterable[str] | None
    banned: Iterable[str]
    min_length: int
    stop: str | Iterable[str]
    keep_stop: bool
    match: str | None
    choices: Iterable[str] | None
    json_schema: str | Mapping[str, Any] | None
    resample: int


INTEGERS = ("top_k", "penalty_window")
FILTER_PARAMETERS = tuple(FilterOptions.__annotations__)


class Sampling:
    """The sampling parameters of a text. Immutable.

    The parameters apply in this order: the mask of ``allowed``, ``banned`` and of the constraint,
    ``logit_bias``, the penalties, ``top_k``, ``typical_p``, ``top_p``, ``min_p``, ``temperature``, and then
    the draw. Each truncation uses the probabilities at temperature 1 of the characters that are left, and
    leaves at least one. ``Filters`` names the source of each filter.

    This is not a dataclass: importing ``dataclasses`` takes longer than the generation of a short text.

    Args:
        temperature: A finite number, 0 or more. Low values give repetitive text, high values surprising text.
            At 0 the most likely token is always drawn.
        top_k: Draw only from this many of the most likely characters. 0 is off.
        typical_p: Draw only from the characters whose surprisal is nearest to the entropy, which together
            have this probability. More than 0, at most 1; 1 is off.
        top_p: Draw only from the most likely characters that together have this probability. More than 0, at
            most 1; 1 is off.
        min_p: Draw only characters that have at least this fraction of the probability of the most likely
            one. From 0 to 1; 0 is off.
        repetition_penalty: Divides the positive logits, and multiplies the negative logits, of the
            characters in the penalty window. More than 0, at most 100; 1 is off.
        frequency_penalty: Subtracted from the logit of a character once for each of its occurrences in the
            penalty window. From -100 to 100; 0 is off.
        presence_penalty: Subtracted once from the logit of each character in the penalty window. From -100 to
            100; 0 is off.
        penalty_window: The number of latest drawn characters that the penalties count, from 1 to 1,024. The
            prompt does not count.
        mirostat_tau: The target of the mean surprisal in bits, for mirostat version 2. It takes the place of
            ``top_k``, ``typical_p``, ``top_p`` and ``min_p``. Text reaches the target only if the temperature
            is high enough, for example 1. From 0 to 100; 0 is off.
        mirostat_eta: The learning rate of mirostat. More than 0, at most 1.
        logit_bias: Numbers from -100 to 100 that are added to the logits, by character.
        allowed: The only characters to draw, as a text or several symbols. None permits all. Characters
            outside the vocabulary have no effect. A model of words also draws words of these characters.
        banned: Characters never to draw, nor words that have one of them. A model of bytes allows and bans
            only ASCII characters.
        min_length: The number of tokens that a record has at least. Its end is not drawn before. They count
            from the latest fed text on, so those of the prompt do not count. 0 is off; only models of records
            have another value, and only without a constraint.
        stop: One or more texts. The text ends before the first of them. A model of words finds only those
            that consist of complete tokens.
        keep_stop: Whether the stop text is part of the text.
        match: A regular expression. The complete text matches it.
        choices: Texts. The complete text is one of them.
        json_schema: A JSON schema, as JSON text or as a mapping. The complete text is JSON of this schema.
        resample: The number of texts to draw without the mask of the constraint, before one is drawn with it.
            The first that meets the constraint is taken. From 0 to 10,000.

    Raises:
        SamplingError: If a parameter is out of range, or if parameters contradict each other.
        TypeError: If a parameter has the wrong type.
    """

    __slots__ = (
        "temperature",
        *FILTER_PARAMETERS,
        "logit_bias",
        "allowed",
        "banned",
        "min_length",
        "stop",
        "keep_stop",
        "match",
        "choices",
        "json_schema",
        "resample",
    )

    temperature: float
    top_k: int
    typical_p: float
    top_p: float
    min_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_window: int
    mirostat_tau: float
    mirostat_eta: float
    logit_bias: tuple[tuple[str, float], ...]
    allowed: tuple[str, ...] | None
    banned: tuple[str, ...]
    min_length: int
    stop: tuple[str, ...]
    keep_stop: bool
    match: str | None
    choices: tuple[str, ...] | None
    json_schema: str | None
    resample: int

    def __init__(  # noqa: PLR0913 (keywords, each a parameter)
        self,
        temperature: float = DEFAULT_TEMPERATURE,
        *,
        logit_bias: Mapping[str, float] | Iterable[tuple[str, float]] = (),
        allowed: Iterable[str] | None = None,
        banned: Iterable[str] = (),
        min_length: int = 0,
        stop: str | Iterable[str] = (),
        keep_stop: bool = False,
        match: str | None = None,
        choices: Iterable[str] | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        resample: int = 0,
        **filters: Unpack[FilterOptions],
    ) -> None:
        check_number(temperature, "temperature")
        if not (is_finite(temperature) and temperature >= 0):
            raise SamplingError(f"temperature must be a finite number, 0 or more, not {quote(temperature)}")
        unknown = set(filters) - set(FILTER_PARAMETERS)
        if unknown:
            raise TypeError(f"Sampling has no parameter {', '.join(sorted(unknown))}")
        for name, value in filters.items():
            check_number(value, name, integer=name in INTEGERS)
        checked = Filters(**filters)
        values: dict[str, Any] = {
            "temperature": float(temperature),
            **{name: getattr(checked, name) for name in FILTER_PARAMETERS},
            "logit_bias": checked_biases(logit_bias, MAX_LOGIT_BIAS),
            "allowed": None if allowed is None else checked_texts(allowed, "allowed"),
            "banned": checked_texts(banned, "banned"),
            "min_length": checked_integer(min_length, "min_length", MAX_LENGTH),
            "stop": checked_texts((stop,) if isinstance(stop, str) else stop, "stop"),
            "keep_stop": bool(keep_stop),
            "match": None if match is None else checked_text(match, "match"),
            "choices": None if choices is None else checked_choices(choices),
            "json_schema": None if json_schema is None else schema_text(json_schema),
            "resample": checked_integer(resample, "resample", MAX_RESAMPLE),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        """Raise an error for parameters that contradict each other."""
        if "" in self.stop:
            raise SamplingError("a stop text must not be empty")
        if self.allowed == ():
            raise SamplingError("allowed must have at least one character: omit it to permit all")
        if self.choices == ():
            raise SamplingError("choices must have at least one text: omit it to permit all")
        constraints = [name for name in CONSTRAINTS if getattr(self, name) is not None]
        if len(constraints) > 1:
            raise SamplingError(
                f"use only one of match, choices and json_schema, not {' and '.join(constraints)}"
            )
        if constraints and self.stop:
            raise SamplingError(
                f"use {constraints[0]} or stop, not both: a stop text could end the text before it meets "
                "the constraint"
            )
        if constraints and self.min_length:
            raise SamplingError(
                f"use {constraints[0]} or min_length, not both: the constraint ends the text, so let it "
                "allow no short text"
            )
        if self.resample and not constraints:
            raise SamplingError("resample needs a constraint: match, choices or json_schema")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Sampling is immutable: use replace({name}=...) for a changed copy")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Sampling is immutable: cannot delete {name}")

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name, as values that JSON can store."""
        return {name: getattr(self, name) for name in self.__slots__}

    def changed(self) -> dict[str, Any]:
        """Return the temperature, and the other parameters that differ from their defaults."""
        return {name: value for name, value in self.as_dict().items() if value != _DEFAULTS[name]}

    def replace(self, **options: Any) -> "Sampling":
        """Return a copy with changed parameters. Raises the errors of ``Sampling``."""
        return Sampling(**(self.as_dict() | options))

    def __eq__(self, other: object) -> bool:
        return self.as_dict() == other.as_dict() if isinstance(other, Sampling) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        return f"Sampling({', '.join(f'{name}={value!r}' for name, value in self.changed().items())})"

    def __reduce__(self) -> "tuple[Any, ...]":
        return _from_dict, (self.as_dict(),)


def _from_dict(options: dict[str, Any]) -> Sampling:
    return Sampling(**options)


_DEFAULTS = Sampling().as_dict() | {"temperature": None}


def choose_sampling(sampling: Sampling | None, options: SamplingOptions) -> Sampling:
    """Return the sampling parameters of a call, given as an object or as keywords.

    Raises:
        TypeError: If both are given, if ``sampling`` is not a ``Sampling``, or if a keyword is unknown.
        SamplingError: If a parameter is out of range.
    """
    if sampling is None:
        return Sampling(**options)
    check_type(sampling)
    if options:
        raise TypeError(f"pass sampling or {', '.join(options)}, not both")
    return sampling


def check_type(sampling: object) -> None:
    """Raise TypeError if an object is not a ``Sampling``."""
    if not isinstance(sampling, Sampling):
        raise TypeError(f"sampling must be a Sampling, not {type(sampling).__name__}")
