"""The body of ``POST /v1/completions``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textgen_runtime.errors import ConstraintError, SamplingError, quote
from textgen_runtime.generation.model import fresh_seed
from textgen_runtime.sampling.parameters import CONSTRAINTS, Sampling
from textgen_runtime.text.tokenizer import UnknownPolicy

from .errors import RequestError
from .json_fields import Fields, parse_object
from .settings import Settings

# The values of OpenAI's API.
DEFAULT_LENGTH = 16
DEFAULT_TEMPERATURE = 1.0
MAX_STOPS = 4
MAX_ALTERNATIVES = 5

# Of all stop texts of a request. Their automaton has a state for each.
MAX_STOP_CHARACTERS = 10_000

MAX_SEED = 2**128 - 1
MAX_CHOICES = 10_000

# The scores of a token take hundreds of bytes until the response is sent.
MAX_SCORED_TOKENS = 10_000

NUMBER, INTEGER, STRING, FLAG = "a number", "an integer", "a string", "true or false"

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
    "keep_stop": (bool, FLAG),
    "match": (str, STRING),
    "resample": (int, INTEGER),
}
SAMPLING_NAMES = (*SAMPLING_FIELDS, "logit_bias", "stop", "choices", "json_schema")


@dataclass(frozen=True)
class CompletionRequest:
    """A checked request.

    Attributes:
        prompts: The texts to continue; None stands for one of the model's own prompts.
        choices: Number of texts per prompt.
        length: Maximum number of tokens per text.
        sampling: The sampling parameters.
        seed: The seed.
        unknown: What to do with characters of a prompt that are outside the vocabulary.
        echo: Whether each text starts with its prompt.
        alternatives: Number of alternatives per token, or None for no log-probabilities.
        stream: Whether the response is a stream of events.
        include_usage: Whether the stream ends with the number of tokens.
    """

    prompts: list[str | None]
    choices: int
    length: int
    sampling: Sampling
    seed: int
    unknown: UnknownPolicy
    echo: bool
    alternatives: int | None
    stream: bool
    include_usage: bool

    @property
    def texts(self) -> int:
        """Number of texts."""
        return len(self.prompts) * self.choices

    @property
    def characters(self) -> int:
        """Number of characters of all prompts."""
        return sum(len(prompt or "") for prompt in self.prompts)


def parse_request(body: bytes, settings: Settings) -> CompletionRequest:
    """Parse and check the body of a request.

    Raises:
        RequestError: If it is wrong. The error names the field.
    """
    fields = Fields(parse_object(body))
    check_model(fields.take("model", str, what=STRING), settings)
    prompts = _prompts(fields, settings)
    length = fields.integer("max_tokens", DEFAULT_LENGTH, 0, settings.max_length)
    choices = fields.integer("n", 1, 1, settings.max_texts)
    if len(prompts) * choices > settings.max_texts:
        raise fields.error(
            "n",
            f"and the number of prompts ask for {len(prompts) * choices} texts, but this server generates at "
            f"most {settings.max_texts} at a time: send several requests",
        )
    seed = fields.take("seed", int, what=INTEGER)
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise fields.error("seed", f"must be from 0 to 2**128 - 1, not {quote(seed)}")
    stream, include_usage = _stream(fields)
    echo = fields.flag("echo")
    echoed = sum(len(prompt or "") for prompt in prompts) if echo else 0
    alternatives = _alternatives(fields, choices * (len(prompts) * length + echoed))
    unknown = _unknown(fields)
    # OpenAI's API has these fields, too.
    fields.take("user", str, what=STRING)
    if fields.take("best_of", int, what=INTEGER) not in (None, choices):
        raise fields.error("best_of", "must be equal to n: this server returns all texts")
    if fields.take("suffix", object, what="anything") is not None:
        raise fields.error("suffix", "is not supported: remove it")
    sampling = _sampling(fields)
    return CompletionRequest(
        prompts,
        choices,
        length,
        sampling,
        fresh_seed() if seed is None else seed,
        unknown,
        echo,
        alternatives,
        stream,
        include_usage,
    )


def check_model(name: str | None, settings: Settings) -> None:
    """Check that a request is for the model of this server.

    Raises:
        RequestError: If it is for another model.
    """
    if name not in (None, settings.model_name):
        raise RequestError(
            404,
            f"there is no model {quote(name)}: this server has {quote(settings.model_name)}",
            param="model",
            code="model_not_found",
        )


def _prompts(fields: Fields, settings: Settings) -> list[str | None]:
    value = fields.take("prompt", str, list, what="a string or a list of strings")
    if value is None:
        return [None]
    if isinstance(value, list) and value and isinstance(value[0], int | list):
        raise fields.error("prompt", "must be text: this server does not accept tokens")
    return [*fields.texts("prompt", settings.max_texts)]


def _alternatives(fields: Fields, tokens: int) -> int | None:
    """Return the number of alternatives per token for a request with this many tokens to score."""
    value = fields.take("logprobs", int, what=INTEGER)
    if value is None:
        return None
    if not 0 <= value <= MAX_ALTERNATIVES:
        raise fields.error("logprobs", f"must be from 0 to {MAX_ALTERNATIVES}, not {quote(value)}")
    if tokens > MAX_SCORED_TOKENS:
        raise fields.error(
            "logprobs",
            f"is limited to {MAX_SCORED_TOKENS} tokens per request, not {tokens}: use a smaller max_tokens",
        )
    return int(value)


def _unknown(fields: Fields) -> UnknownPolicy:
    value = fields.take("unknown", str, what=STRING)
    if value == "skip":
        return "skip"
    if value in (None, "error"):
        return "error"
    raise fields.error("unknown", f'must be "error" or "skip", not {quote(value)}')


def _stream(fields: Fields) -> tuple[bool, bool]:
    stream = fields.flag("stream")
    options = fields.take("stream_options", dict, what="an object")
    if options is None:
        return stream, False
    if not stream:
        raise fields.error("stream_options", 'is only for "stream": true')
    within = Fields(options, "stream_options")
    include_usage = within.flag("include_usage")
    within.finish()
    return stream, include_usage


def _sampling(fields: Fields) -> Sampling:
    """Return the sampling parameters, after which no field may be left."""
    options: dict[str, Any] = {"temperature": DEFAULT_TEMPERATURE}
    for name, (kind, what) in SAMPLING_FIELDS.items():
        options[name] = fields.take(name, kind, what=what)
    options["stop"] = _stops(fields)
    options["choices"] = tuple(fields.texts("choices", MAX_CHOICES)) or None
    options["json_schema"] = fields.take("json_schema", str, dict, what="a schema as an object or a string")
    options["logit_bias"] = _logit_bias(fields)
    fields.finish()
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
