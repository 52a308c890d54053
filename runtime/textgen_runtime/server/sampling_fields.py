"""The sampling parameters of a request: the fields that are those of ``Sampling``."""

import re
from collections.abc import Mapping
from typing import Any

from textgen_runtime.errors import ConstraintError, SamplingError, quote
from textgen_runtime.sampling.parameters import CONSTRAINTS, Sampling

from .errors import RequestError
from .json_fields import FLAG, INTEGER, NUMBER, STRING, Fields

# The values of OpenAI's API.
DEFAULT_TEMPERATURE = 1.0
MAX_STOPS = 4

# Of all stop texts of a request. Their automaton has a state for each.
MAX_STOP_CHARACTERS = 10_000

MAX_CHOICES = 10_000

# The fields of ``Sampling`` that have the type of their JSON value. Those of OpenAI's API come first.
SAMPLING_FIELDS: dict[str, tuple[type, str]] = {
    "temperature": (float, NUMBER),
    "top_p": (float, NUMBER),
    "frequency_penalty": (float, NUMBER),
    "presence_penalty": (float, NUMBER),
    "top_k": (int, INTEGER),
    "typical_p": (float, NUMBER),
    "min_p": (float, NUMBER),
    "repetition_penalty": (float, NUMBER),
    "penalty_window": (int, INTEGER),
    "mirostat_tau": (float, NUMBER),
    "mirostat_eta": (float, NUMBER),
    "allowed": (str, STRING),
    "banned": (str, STRING),
    "min_length": (int, INTEGER),
    "keep_stop": (bool, FLAG),
    "match": (str, STRING),
    "resample": (int, INTEGER),
}
SAMPLING_NAMES = (*SAMPLING_FIELDS, "logit_bias", "stop", "choices", "json_schema")


def take_sampling(fields: Fields) -> Sampling:
    """Take the sampling parameters out of the fields of a request.

    Raises:
        RequestError: If one is wrong. The error names the field.
    """
    options: dict[str, Any] = {"temperature": DEFAULT_TEMPERATURE}
    for name, (kind, what) in SAMPLING_FIELDS.items():
        options[name] = fields.take(name, kind, what=what)
    options["stop"] = _stops(fields)
    options["choices"] = tuple(fields.texts("choices", MAX_CHOICES)) or None
    options["json_schema"] = fields.take("json_schema", str, dict, what="a schema as an object or a string")
    options["logit_bias"] = _logit_bias(fields)
    if options["temperature"] is None:
        options["temperature"] = DEFAULT_TEMPERATURE
    try:
        return Sampling(**{name: value for name, value in options.items() if value is not None})
    except SamplingError as error:
        raise sampling_error(error, options) from None


def _stops(fields: Fields) -> tuple[str, ...] | None:
    stops = fields.texts("stop", MAX_STOPS, minimum=0)
    size = sum(map(len, stops))
    if size > MAX_STOP_CHARACTERS:
        raise fields.error("stop", f"has {size} characters: at most {MAX_STOP_CHARACTERS} are possible")
    return tuple(stops) or None


def _logit_bias(fields: Fields) -> dict[str, float] | None:
    bias = fields.take("logit_bias", dict, what="an object of numbers by character")
    for symbol, value in (bias or {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise fields.error("logit_bias", f"must have a number for {quote(symbol)}")
    return bias or None


def sampling_error(error: SamplingError, given: Sampling | Mapping[str, Any]) -> RequestError:
    """Return the response to sampling parameters that are refused, with the field that is wrong.

    Args:
        error: The error. Its message names the field that is wrong before others.
        given: The parameters.
    """
    message = str(error)
    options = given.as_dict() if isinstance(given, Sampling) else given
    if isinstance(error, ConstraintError):
        named = [name for name in CONSTRAINTS if options[name] is not None]
    else:
        named = re.findall(rf"\b(?:{'|'.join(SAMPLING_NAMES)})\b", message)
    return RequestError(400, message, param=named[0] if named else None)
