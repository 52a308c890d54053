"""What a request for completions asks for, and the fields that all endpoints of completions have."""

from collections.abc import Callable
from dataclasses import dataclass

from textgen_runtime.errors import quote
from textgen_runtime.model import fresh_seed
from textgen_runtime.sampling import CONSTRAINTS, Sampling
from textgen_runtime.tokenizer import UnknownPolicy

from .fields import Fields, IgnoredFields
from .requests import RequestError, Settings, check_model
from .sampling_fields import take_sampling

LENGTH_FIELDS = ("max_tokens", "max_completion_tokens")
MAX_ALTERNATIVES = 5

MAX_SEED = 2**128 - 1

# The scores of a token take hundreds of bytes until the response is sent.
MAX_SCORED_TOKENS = 10_000

# The event loop itself prepares requests of at most this many characters and texts, without a constraint.
# That takes a few milliseconds at most. The stop texts are prepared again for each text.
QUICK_CHARACTERS = 20_000
QUICK_STOP_CHARACTERS = 500
QUICK_TEXTS = 16


@dataclass(frozen=True)
class CompletionRequest:
    """A checked request.

    Attributes:
        prompts: The texts to continue; None stands for one of the model's own prompts.
        prompt_field: The field that gives them.
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
    prompt_field: str
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

    @property
    def is_quick(self) -> bool:
        """Whether ``prepare`` takes only a few milliseconds."""
        return (
            self.texts <= QUICK_TEXTS
            and self.characters <= QUICK_CHARACTERS
            and sum(map(len, self.sampling.stop)) <= QUICK_STOP_CHARACTERS
            and not self.sampling.max_copy
            and all(getattr(self.sampling, name) is None for name in CONSTRAINTS)
        )


# Takes the fields of an endpoint, also those of ``take_request``.
Take = Callable[[Fields, Settings], CompletionRequest]


def parse_request(
    body: bytes, settings: Settings, take: Take, ignored: IgnoredFields | None = None
) -> CompletionRequest:
    """Parse and check the body of a request.

    Args:
        body: The body.
        settings: The limits of the server.
        take: Takes the fields of the endpoint.
        ignored: Gets the names of unknown fields. By default they are refused.

    Raises:
        RequestError: If it is wrong. The error names the field.
    """
    fields = Fields.parse(body, ignored)
    check_model(fields.take("model", str), settings)
    request = take(fields, settings)
    fields.finish()
    return request


@dataclass(frozen=True)
class OwnFields:
    """What each endpoint has in fields of its own.

    Attributes:
        prompts: As in the request.
        prompt_field: As in the request.
        default_length: Maximum number of tokens per text if no field gives it.
        alternatives: As in the request.
        echo: As in the request.
        default_unknown: What to do with characters outside the vocabulary if no field says it.
    """

    prompts: list[str | None]
    prompt_field: str
    default_length: int
    alternatives: int | None
    echo: bool = False
    default_unknown: UnknownPolicy = "error"


def take_request(fields: Fields, settings: Settings, own: OwnFields) -> CompletionRequest:
    """Take the fields that all endpoints have, and return the request.

    Raises:
        RequestError: If a field is wrong, or if the fields ask for too much.
    """
    length, length_field = _length(fields, settings, own.default_length)
    choices = fields.integer("n", 1, settings.max_texts) or 1
    texts = len(own.prompts) * choices
    if texts > settings.max_texts:
        raise fields.error(
            "n",
            f"and the number of prompts ask for {texts} texts, but this server generates at most "
            f"{settings.max_texts} at a time: send several requests",
        )
    seed = fields.integer("seed", 0, MAX_SEED, "from 0 to 2**128 - 1")
    stream, include_usage = _stream(fields)
    echoed = sum(len(prompt or "") for prompt in own.prompts) if own.echo else 0
    tokens = choices * (len(own.prompts) * length + echoed)
    if own.alternatives is not None and tokens > MAX_SCORED_TOKENS:
        limit = f"is limited to {MAX_SCORED_TOKENS} tokens per request, not {tokens}: ask for fewer"
        raise fields.error("logprobs", limit)
    unknown = fields.take("unknown", str)
    if unknown not in (None, "error", "skip"):
        raise fields.error("unknown", f'must be "error" or "skip", not {quote(unknown)}')
    # OpenAI's API has this field, too.
    fields.take("user", str)
    return CompletionRequest(
        own.prompts,
        own.prompt_field,
        choices,
        length,
        length_field,
        take_sampling(fields),
        fresh_seed() if seed is None else seed,
        unknown or own.default_unknown,
        own.echo,
        own.alternatives,
        stream,
        include_usage,
    )


def _length(fields: Fields, settings: Settings, default: int) -> tuple[int, str]:
    """Return the maximum number of tokens per text, and the field that gives it."""
    given = [name for name in LENGTH_FIELDS if fields.take(name, int) is not None]
    if len(given) > 1:
        # With the code of OpenAI's API, which refuses both, too.
        raise RequestError(
            400,
            f"{' and '.join(given)} are two names of one field: send only one",
            param=given[0],
            code="invalid_parameter_combination",
        )
    name = given[0] if given else LENGTH_FIELDS[0]
    length = fields.integer(name, 0, settings.max_length)
    return min(default, settings.max_length) if length is None else length, name


def _stream(fields: Fields) -> tuple[bool, bool]:
    """Return whether the response is a stream, and whether it ends with the number of tokens."""
    stream = bool(fields.take("stream", bool))
    options = fields.nested("stream_options")
    if options is None:
        return stream, False
    if not stream:
        raise fields.error("stream_options", 'is only for "stream": true')
    include_usage = bool(options.take("include_usage", bool))
    options.finish()
    return stream, include_usage
