"""The sampling parameters. The only one so far is the temperature.

To add a parameter, such as top-k, change the places that ``runtime/core/filters.h`` lists. In this module
they are ``Sampling.__slots__``, ``Sampling.__init__`` and ``SamplingOptions``. ``Sampler`` needs a keyword
and an attribute of the same name. ``__reduce__``, ``restore_sampler`` and ``replace_held_lock`` must keep
the value.

``generate``, ``stream``, ``start`` and saved generations use ``Sampling`` and need no change.
"""

import math
from typing import Any, TypedDict

from textgen_runtime.errors import SamplingError, quote

from .sampler import Sampler

DEFAULT_TEMPERATURE = 0.5


class SamplingOptions(TypedDict, total=False):
    """The parameters of ``Sampling`` as keywords of ``generate``, ``stream`` and ``start``."""

    temperature: float


class Sampling:
    """The sampling parameters of a text. Immutable.

    This is not a dataclass: importing ``dataclasses`` takes longer than the generation of a short text.

    Args:
        temperature: A finite number, 0 or more. Low values give repetitive text, high values surprising text.
            At 0 the most likely token is always drawn.

    Raises:
        SamplingError: If a parameter is out of range.
    """

    __slots__ = ("temperature",)

    temperature: float

    def __init__(self, temperature: float = DEFAULT_TEMPERATURE) -> None:
        if not (_is_finite(temperature) and temperature >= 0):
            raise SamplingError(f"temperature must be a finite number, 0 or more, not {quote(temperature)}")
        object.__setattr__(self, "temperature", float(temperature))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Sampling is immutable: use replace({name}=...) for a changed copy")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Sampling is immutable: cannot delete {name}")

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name, as values that JSON can store."""
        return {name: getattr(self, name) for name in self.__slots__}

    def replace(self, **options: Any) -> "Sampling":
        """Return a copy with changed parameters. Raises the errors of ``Sampling``."""
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
        # An int that is too large for a float.
        return False


def choose_sampling(sampling: Sampling | None, options: SamplingOptions) -> Sampling:
    """Return the sampling parameters of a call, given as an object or as keywords.

    Raises:
        TypeError: If both are given, if ``sampling`` is not a ``Sampling``, or if a keyword is unknown.
        SamplingError: If a parameter is out of range.
    """
    if sampling is None:
        return Sampling(**options)
    _check_type(sampling)
    if options:
        raise TypeError(f"pass sampling or {', '.join(options)}, not both")
    return sampling


def _check_type(sampling: object) -> None:
    if not isinstance(sampling, Sampling):
        raise TypeError(f"sampling must be a Sampling, not {type(sampling).__name__}")


def make_sampler(sampling: Sampling, seed: int, substream: int = 0) -> Sampler:
    """Create a sampler with these parameters. Raises the errors of ``Sampler``."""
    return Sampler(seed=seed, substream=substream, **sampling.as_dict())


def sampling_of(sampler: Sampler) -> Sampling:
    """Return the current parameters of a sampler."""
    return Sampling(*[getattr(sampler, name) for name in Sampling.__slots__])


def set_sampling(sampler: Sampler, sampling: Sampling) -> None:
    """Set the parameters of a sampler. They take effect at the next draw.

    Raises:
        TypeError: If ``sampling`` is not a ``Sampling``.
    """
    _check_type(sampling)
    for name, value in sampling.as_dict().items():
        setattr(sampler, name, value)
