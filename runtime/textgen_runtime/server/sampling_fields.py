"""The sampling parameters of a request: the fields that are those of ``Sampling``."""

from typing import Any

from textgen_runtime.errors import Name, SamplingError, quote
from textgen_runtime.sampling.definition import PARAMETERS
from textgen_runtime.sampling.parameters import Sampling

from .errors import RequestError
from .json_fields import FLAG, INTEGER, NUMBER, STRING, Fields

# The value of OpenAI's API.
DEFAULT_TEMPERATURE = 1.0

# How many texts each kind of list may have. OpenAI's API has up to four stop texts.
LIMITS = {"texts": (0, 4), "choices": (1, 10_000)}

# Of all stop texts of a request. Their automaton has a state for each.
MAX_STOP_CHARACTERS = 10_000

# The types of a field by the kind of the parameter, and what they are in a message.
TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "number": ((float,), NUMBER),
    "whole": ((int,), INTEGER),
    "switch": ((bool,), FLAG),
    "text": ((str,), STRING),
    "characters": ((str,), STRING),
    "biases": ((dict,), "an object of numbers by character"),
    "schema": ((str, dict), "a schema as an object or a string"),
}


def take_sampling(fields: Fields) -> Sampling:
    """Take the sampling parameters out of the fields of a request.

    Raises:
        RequestError: If one is wrong. The error names the field.
    """
    options: dict[str, Any] = {"temperature": DEFAULT_TEMPERATURE}
    for name, parameter in PARAMETERS.items():
        if parameter.kind in LIMITS:
            minimum, maximum = LIMITS[parameter.kind]
            value: Any = tuple(fields.texts(name, maximum, minimum)) or None
        else:
            kinds, what = TYPES[parameter.kind]
            value = fields.take(name, *kinds, what=what)
        if value is not None:
            options[name] = value
    size = sum(map(len, options.get("stop", ())))
    if size > MAX_STOP_CHARACTERS:
        raise fields.error("stop", f"has {size} characters: at most {MAX_STOP_CHARACTERS} are possible")
    for symbol, value in options.get("logit_bias", {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise fields.error("logit_bias", f"must have a number for {quote(symbol)}")
    try:
        return Sampling(**options)
    except SamplingError as error:
        raise sampling_error(error) from None


def sampling_error(error: SamplingError) -> RequestError:
    """Return the response to sampling parameters that are refused, with the field that is wrong."""
    return RequestError(400, error.spelled(spell_field), param=error.parameter)


def spell_field(name: Name) -> str:
    """Return a parameter as a field of a request."""
    if name == "lowercase":
        # No field: the client converts the prompt.
        return "a prompt in lower case"
    return name if name.value is None else f'"{name}": "{name.value}"'
