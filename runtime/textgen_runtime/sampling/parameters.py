"""The parameters of generation.

A new parameter is a slot, an argument and an option here. ``Sampler``, over the core, has each of them as a
keyword and as an attribute of the same name.
"""

import math
from typing import Any, TypedDict

from textgen_runtime.errors import SamplingError, quote

from .sampler import Sampler

DEFAULT_TEMPERATURE = 0.5


class SamplingOptions(TypedDict, total=False):
    """The parameters as keywords of ``generate``, ``stream`` and ``start``; see ``Sampling``."""

    temperature: float


class Sampling:
    """How tokens are drawn: every parameter of generation but the random numbers. Immutable.

    It is not a dataclass, because importing that module takes longer than making a short text.

    Args:
        temperature: 0 or more; low is repetitive and safe, high is surprising, 0 always takes the most likely
            token.

    Raises:
        SamplingError: If a parameter is not as stated.
    """

    __slots__ = ("temperature",)

    temperature: float

    def __init__(self, temperature: float = DEFAULT_TEMPERATURE) -> None:
        if not (_is_finite(temperature) and temperature >= 0):
            raise SamplingError(f"temperature must be a finite number, 0 or more, not {quote(temperature)}")
        object.__setattr__(self, "temperature", float(temperature))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Sampling is immutable: make another with replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Sampling is immutable: it keeps its {name}")

    def as_dict(self) -> dict[str, Any]:
        """The parameters by name, made of what JSON has."""
        return {name: getattr(self, name) for name in self.__slots__}

    def replace(self, **options: Any) -> "Sampling":
        """The same but for some parameters; the errors are those of ``Sampling``."""
        return Sampling(**(self.as_dict() | options))

    def __eq__(self, other: object) -> bool:
        return self.as_dict() == other.as_dict() if isinstance(other, Sampling) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().items()))

    def __repr__(self) -> str:
        return f"Sampling({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"

    def __reduce__(self) -> "tuple[type[Sampling], tuple[Any, ...]]":
        return Sampling, tuple(self.as_dict().values())


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number that is larger than any float.
        return False


def choose_sampling(sampling: Sampling | None, options: SamplingOptions) -> Sampling:
    """The sampling that a call asks for, by an object or by keywords.

    Raises:
        TypeError: If both are given, ``sampling`` is of another type, or there is no such parameter.
        SamplingError: If a parameter is not as ``Sampling`` states.
    """
    if sampling is None:
        return Sampling(**options)
    _check_type(sampling)
    if options:
        raise TypeError(f"give sampling or {', '.join(options)}, not both")
    return sampling


def _check_type(sampling: object) -> None:
    if not isinstance(sampling, Sampling):
        raise TypeError(f"sampling must be a Sampling, not {type(sampling).__name__}")


def make_sampler(sampling: Sampling, seed: int, substream: int = 0) -> Sampler:
    """A sampler of this sampling; arguments and errors are otherwise those of ``Sampler``."""
    return Sampler(seed=seed, substream=substream, **sampling.as_dict())


def sampling_of(sampler: Sampler) -> Sampling:
    """The sampling that a sampler draws with now."""
    return Sampling(*[getattr(sampler, name) for name in Sampling.__slots__])


def set_sampling(sampler: Sampler, sampling: Sampling) -> None:
    """Let a sampler draw with this sampling from now on.

    Raises:
        TypeError: If it is not a ``Sampling``.
    """
    _check_type(sampling)
    for name, value in sampling.as_dict().items():
        setattr(sampler, name, value)
