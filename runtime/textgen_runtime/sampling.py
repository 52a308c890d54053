"""``Sampling``: all parameters that control the generation of a text.

``runtime/core/parameters.def`` defines them. ``controls.py`` converts the characters of a
``Sampling`` to the tokens of a model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import index
from typing import Any, Unpack

from ._core import PARAMETERS
from .errors import Name, SamplingError, quote
from .options import TRUNCATIONS, SamplingFields, SamplingOptions
from .results import Parameter

# The temperatures of the textbook's samples.
TEMPERATURES = (0.2, 0.5, 1.0, 1.2)

# The parameters that constrain the complete text. At most one of them may be given.
CONSTRAINTS = ("match", "choices", "json_schema")

# The parameters that contradict any constraint, and why.
_NEVER_WITH_CONSTRAINT = {
    "stop": "a stop text could end the text before it meets the constraint",
    "min_length": "only the constraint ends the text, so use one that allows no short text",
    "max_copy": "the constraint could leave only tokens that complete a copy",
}


class Sampling(SamplingFields):  # noqa: PLW1641 (no key of a dict)
    """The sampling parameters of a text. ``replace`` returns a changed copy.

    A draw applies the parameters in this order: the mask of ``allowed``, ``banned``, ``min_length``,
    ``max_copy`` and of the constraint, ``logit_bias``, the penalties, the truncations, such as ``top_k``, in
    the order of ``textgen.PARAMETERS``, or ``mirostat_tau`` in their place, ``temperature``, and then the
    draw. Each truncation uses the probabilities at temperature 1 of the characters that are left, and leaves
    at least one.

    This is not a dataclass: importing ``dataclasses`` takes longer than the generation of a short text.

    Args:
        options: The parameters as keywords. Each is also an attribute. Without options, the temperature is
            0.5, and no other parameter has an effect. ``textgen.PARAMETERS`` describes them.

    Raises:
        SamplingError: If a parameter is out of range, or if parameters contradict each other.
        TypeError: If a parameter is unknown, or has the wrong type.
    """

    __slots__ = tuple(PARAMETERS)

    def __init__(self, **options: Unpack[SamplingOptions]) -> None:
        values = dict(_DEFAULTS)
        for name, value in options.items():
            parameter = PARAMETERS.get(name)
            if parameter is None:
                raise TypeError(f"Sampling has no parameter {name}")
            values[name] = _CHECKS[parameter.kind](parameter, value)
        for name, value in values.items():
            setattr(self, name, value)
        self._check()

    def _check(self) -> None:
        """Raise an error for parameters that contradict each other."""
        if self.mirostat_tau:
            replaced = [name for name in TRUNCATIONS if getattr(self, name) != _DEFAULTS[name]]
            if replaced:
                others = _joined(replaced, " and ")
                raise SamplingError(
                    Name("mirostat_tau"), " takes the place of ", *others, ": turn it off, or the others"
                )
        if "" in self.stop:
            raise SamplingError("a ", Name("stop"), " text must not be empty")
        for name, item in (("allowed", "character"), ("choices", "text")):
            if getattr(self, name) == ():
                raise SamplingError(Name(name), f" must have at least one {item}: omit it to permit all")
        constraints = [Name(name) for name in CONSTRAINTS if getattr(self, name) is not None]
        if len(constraints) > 1:
            raise SamplingError("use only one of ", *_joined(constraints, " and "))
        for name, reason in _NEVER_WITH_CONSTRAINT.items():
            if constraints and getattr(self, name) != _DEFAULTS[name]:
                raise SamplingError("use ", constraints[0], " or ", Name(name), f", not both: {reason}")
        if self.resample and not constraints:
            raise SamplingError(Name("resample"), " needs a constraint: ", *_joined(CONSTRAINTS, " or "))

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name, as values that JSON can store."""
        return {name: getattr(self, name) for name in self.__slots__}

    def changed(self) -> dict[str, Any]:
        """Return the temperature, and the other parameters that differ from their defaults."""
        values = self.as_dict()
        return {
            name: value for name, value in values.items() if name == "temperature" or value != _DEFAULTS[name]
        }

    def replace(self, **options: Any) -> "Sampling":
        """Return a copy with changed parameters. Raises the errors of ``Sampling``."""
        return Sampling(**(self.as_dict() | options))

    def __eq__(self, other: object) -> bool:
        return self.as_dict() == other.as_dict() if isinstance(other, Sampling) else NotImplemented

    def __repr__(self) -> str:
        return f"Sampling({', '.join(f'{name}={value!r}' for name, value in self.changed().items())})"


def _joined(names: Sequence[str], conjunction: str) -> list[str]:
    """Return the names of parameters, and what stands between them, as parts of an error."""
    separators = ["", *[", "] * (len(names) - 2), conjunction]
    return [part for pair in zip(separators, map(Name, names), strict=False) for part in pair][1:]


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


def _checked_number(parameter: Parameter, value: Any) -> float:
    try:
        number = int(index(value)) if parameter.kind == "whole" else value
        is_accepted = parameter.accepts(number)
    except TypeError:
        kind = "an integer" if parameter.kind == "whole" else "a number"
        raise TypeError(f"{parameter.name} must be {kind}, not {quote(value)}") from None
    if not is_accepted:
        raise SamplingError(Name(parameter.name), f" must be {parameter.requirement}, not {quote(value)}")
    return number if parameter.kind == "whole" else float(value)


def _checked_switch(parameter: Parameter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{parameter.name} must be true or false, not {quote(value)}")
    return value


def _checked_text(parameter: Parameter, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{parameter.name} must be text, not {type(value).__name__}")
    return value


def _checked_texts(parameter: Parameter, values: Any) -> tuple[str, ...] | None:
    """Return texts without duplicates, in the order of their first occurrence."""
    if values is None and parameter.default is None:
        return None
    if isinstance(values, str) and parameter.kind == "texts":
        return (values,)
    if isinstance(values, str) and parameter.kind == "choices":
        # Its characters would be the choices.
        raise TypeError(f"{parameter.name} must be a list of texts, not the text {quote(values)}")
    if not isinstance(values, Iterable):
        raise TypeError(f"{parameter.name} must be a text or several texts, not {quote(values)}")
    texts = list(values)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{parameter.name} must be text, not {type(text).__name__}")
    return tuple(dict.fromkeys(texts))


def _checked_biases(parameter: Parameter, values: Any) -> tuple[tuple[str, float], ...]:
    """Return the logit biases as sorted pairs of a character and a number."""
    try:
        biases = dict(values)
    except (TypeError, ValueError):
        example = f"{parameter.name} must give each character a number, such as {{'e': 1}}"
        raise TypeError(f"{example}, not {quote(values)}") from None
    for symbol, bias in biases.items():
        if not isinstance(symbol, str):
            raise TypeError(f"a character of {parameter.name} must be text, not {type(symbol).__name__}")
        try:
            is_accepted = parameter.accepts(bias)
        except TypeError:
            raise TypeError(
                f"the {parameter.name} of {quote(symbol)} must be a number, not {quote(bias)}"
            ) from None
        if not is_accepted:
            raise SamplingError(
                "the ",
                Name(parameter.name),
                f" of {quote(symbol)} must be {parameter.requirement}, not {quote(bias)}: use ",
                Name("banned"),
                " to forbid a character",
            )
    return tuple(sorted((symbol, float(bias)) for symbol, bias in biases.items()))


def _checked_schema(parameter: Parameter, schema: str | Mapping[str, Any] | None) -> str | None:
    """Return a JSON schema as JSON text."""
    if not isinstance(schema, Mapping):
        return _checked_text(parameter, schema)
    from .json_text import to_json

    try:
        return to_json(schema)
    except (ValueError, RecursionError) as error:
        raise SamplingError(f"the JSON schema: {error}", parameter=parameter.name) from None


_CHECKS: dict[str, Callable[[Parameter, Any], Any]] = {
    "number": _checked_number,
    "whole": _checked_number,
    "switch": _checked_switch,
    "text": _checked_text,
    "texts": _checked_texts,
    "characters": _checked_texts,
    "choices": _checked_texts,
    "biases": _checked_biases,
    "schema": _checked_schema,
}
_DEFAULTS = {name: parameter.default for name, parameter in PARAMETERS.items()}
