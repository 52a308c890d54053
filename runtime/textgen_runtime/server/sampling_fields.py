"""The sampling parameters of a request, and OpenAI's field ``response_format``, which is one of them."""

from typing import Any

from textgen_runtime._core import PARAMETERS
from textgen_runtime.errors import SamplingError, quote
from textgen_runtime.sampling import Sampling

from .fields import Fields
from .requests import sampling_error

# That of OpenAI's API.
DEFAULT_TEMPERATURE = 1.0

# How many texts each kind of list may have. OpenAI's API has up to four stop texts.
MAX_STOP_TEXTS = 4
MAX_CHOICES = 10_000
LIMITS = {"texts": (0, MAX_STOP_TEXTS), "choices": (1, MAX_CHOICES)}

# Of all stop texts of a request. Their automaton has a state for each.
MAX_STOP_CHARACTERS = 10_000

# The types of a field by the kind of the parameter, and what some of them are in a message.
TYPES: dict[str, tuple[type, ...]] = {
    "number": (float,),
    "whole": (int,),
    "switch": (bool,),
    "text": (str,),
    "characters": (str,),
    "biases": (dict,),
    "schema": (str, dict),
}
WHAT = {"biases": "an object of numbers by character", "schema": "a schema as an object or a string"}


def take_sampling(fields: Fields) -> Sampling:
    """Take the sampling parameters, each of which is a field of its name, out of the fields of a request.

    Raises:
        RequestError: If one is wrong. The error names the field.
    """
    options: dict[str, Any] = {"temperature": DEFAULT_TEMPERATURE}
    for name, parameter in PARAMETERS.items():
        if parameter.kind in LIMITS:
            minimum, maximum = LIMITS[parameter.kind]
            value: Any = tuple(fields.texts(name, maximum, minimum)) or None
        else:
            value = fields.take(name, *TYPES[parameter.kind], what=WHAT.get(parameter.kind))
        if value is not None:
            options[name] = value
    schema = _response_schema(fields)
    if schema is not None:
        if "json_schema" in options:
            raise fields.error("response_format", "and json_schema are two schemas: send only one")
        options["json_schema"] = schema
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


def _response_schema(fields: Fields) -> dict[str, Any] | None:
    """Return the JSON schema that ``response_format`` asks for, or None if any text will do."""
    response_format = fields.nested("response_format")
    if response_format is None:
        return None
    kind = response_format.take("type", str)
    if kind not in ("text", "json_object", "json_schema"):
        reason = f'must be "text", "json_object" or "json_schema", not {quote(kind)}'
        raise response_format.error("type", reason)
    described = response_format.nested("json_schema")
    if described and kind != "json_schema":
        raise response_format.error("json_schema", 'is only for "type": "json_schema"')
    response_format.finish()
    if kind != "json_schema":
        return {"type": "object"} if kind == "json_object" else None
    schema: dict[str, Any] | None = described.take("schema", dict) if described else None
    if described is None or schema is None:
        raise response_format.error("json_schema", 'must be an object with the field "schema"')
    # They have no effect: every schema is followed strictly.
    described.take("name", str)
    described.take("description", str)
    described.take("strict", bool)
    described.finish()
    return schema
