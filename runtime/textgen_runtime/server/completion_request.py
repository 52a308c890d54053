"""The body of ``POST /v1/completions``."""

from dataclasses import dataclass

from textgen_runtime.errors import quote
from textgen_runtime.generation.model import fresh_seed
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.tokenizer import UnknownPolicy

from .errors import RequestError
from .json_fields import INTEGER, STRING, Fields, parse_object
from .sampling_fields import take_sampling
from .settings import Settings

# The values of OpenAI's API.
DEFAULT_LENGTH = 16
LENGTH_FIELDS = ("max_tokens", "max_completion_tokens")
MAX_ALTERNATIVES = 5

MAX_SEED = 2**128 - 1

# The scores of a token take hundreds of bytes until the response is sent.
MAX_SCORED_TOKENS = 10_000


@dataclass(frozen=True)
class CompletionRequest:
    """A checked request.

    Attributes:
        prompts: The texts to continue; None stands for one of the model's own prompts.
        choices: Number of texts per prompt.
        length: Maximum number of tokens per text.
        length_field: The field that gives the length.
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
    length_field: str
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
    length, length_field = _length(fields, settings)
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
    sampling = take_sampling(fields)
    fields.finish()
    return CompletionRequest(
        prompts,
        choices,
        length,
        length_field,
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
    # Some clients send an empty prompt by default.
    return [text or None for text in fields.texts("prompt", settings.max_texts)]


def _length(fields: Fields, settings: Settings) -> tuple[int, str]:
    """Return the maximum number of tokens per text, and the field that gives it."""
    given = [name for name in LENGTH_FIELDS if fields.take(name, int, what=INTEGER) is not None]
    if len(given) > 1:
        # With the code of OpenAI's API, which refuses both, too.
        raise RequestError(
            400,
            f"{' and '.join(given)} are two names of one field: send only one",
            param=given[0],
            code="invalid_parameter_combination",
        )
    name = given[0] if given else LENGTH_FIELDS[0]
    return fields.integer(name, DEFAULT_LENGTH, 0, settings.max_length), name


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
            f"is limited to {MAX_SCORED_TOKENS} tokens per request, not {tokens}: ask for fewer",
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
