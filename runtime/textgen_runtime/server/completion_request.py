"""The body of ``POST /v1/completions``, and the texts that it asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textgen_runtime.errors import PromptError, SamplingError, quote
from textgen_runtime.generation.generation import Generation
from textgen_runtime.generation.model import Model, fresh_seed
from textgen_runtime.generation.stop_warnings import checked_stops
from textgen_runtime.sampling.definition import PARAMETERS
from textgen_runtime.sampling.parameters import CONSTRAINTS, Sampling
from textgen_runtime.text.tokenizer import CHARACTER, UnknownPolicy

from .requests import TEXTS, Fields, RequestError, Settings, check_model, sampling_error, spell_field
from .text import Prompt, Text, Update

# The values of OpenAI's API.
DEFAULT_TEMPERATURE = 1.0
DEFAULT_LENGTH = 16
LENGTH_FIELDS = ("max_tokens", "max_completion_tokens")
MAX_ALTERNATIVES = 5

MAX_SEED = 2**128 - 1

# The scores of a token take hundreds of bytes until the response is sent.
MAX_SCORED_TOKENS = 10_000

# How many texts each kind of list may have. OpenAI's API has up to four stop texts.
LIMITS = {"texts": (0, 4), "choices": (1, 10_000)}

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


def parse_request(body: bytes, settings: Settings) -> CompletionRequest:
    """Parse and check the body of a request.

    Raises:
        RequestError: If it is wrong. The error names the field.
    """
    fields = Fields.parse(body)
    check_model(fields.take("model", str), settings)
    prompts = _prompts(fields, settings)
    length, length_field = _length(fields, settings)
    choices = fields.integer("n", 1, settings.max_texts) or 1
    if len(prompts) * choices > settings.max_texts:
        raise fields.error(
            "n",
            f"and the number of prompts ask for {len(prompts) * choices} texts, but this server generates at "
            f"most {settings.max_texts} at a time: send several requests",
        )
    seed = fields.integer("seed", 0, MAX_SEED, "from 0 to 2**128 - 1")
    stream, include_usage = _stream(fields)
    echo = bool(fields.take("echo", bool))
    echoed = sum(len(prompt or "") for prompt in prompts) if echo else 0
    tokens = choices * (len(prompts) * length + echoed)
    alternatives = fields.integer("logprobs", 0, MAX_ALTERNATIVES)
    if alternatives is not None and tokens > MAX_SCORED_TOKENS:
        limit = f"is limited to {MAX_SCORED_TOKENS} tokens per request, not {tokens}: ask for fewer"
        raise fields.error("logprobs", limit)
    unknown = fields.take("unknown", str)
    if unknown not in (None, "error", "skip"):
        raise fields.error("unknown", f'must be "error" or "skip", not {quote(unknown)}')
    # OpenAI's API has these fields, too.
    fields.take("user", str)
    if fields.take("best_of", int) not in (None, choices):
        raise fields.error("best_of", "must be equal to n: this server returns all texts")
    if fields.take("suffix", object, bool) is not None:
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
        unknown or "error",
        echo,
        alternatives,
        stream,
        include_usage,
    )


def _prompts(fields: Fields, settings: Settings) -> list[str | None]:
    value = fields.take("prompt", str, list, what=TEXTS)
    if value is None:
        return [None]
    if isinstance(value, list) and value and isinstance(value[0], int | list):
        raise fields.error("prompt", "must be text: this server does not accept tokens")
    # Some clients send an empty prompt by default.
    return [text or None for text in fields.texts("prompt", settings.max_texts)]


def _length(fields: Fields, settings: Settings) -> tuple[int, str]:
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
    return DEFAULT_LENGTH if length is None else length, name


def _stream(fields: Fields) -> tuple[bool, bool]:
    """Return whether the response is a stream, and whether it ends with the number of tokens."""
    stream = bool(fields.take("stream", bool))
    options = fields.take("stream_options", dict)
    if options is None:
        return stream, False
    if not stream:
        raise fields.error("stream_options", 'is only for "stream": true')
    within = Fields(options, "stream_options")
    include_usage = bool(within.take("include_usage", bool))
    within.finish()
    return stream, include_usage


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


def prepare(
    model: Model, request: CompletionRequest, deliver: Callable[[Update], None]
) -> tuple[list[Text], list[str]]:
    """Encode the prompts, compile the sampling parameters, and create the texts.

    Args:
        model: The model.
        request: The request.
        deliver: Called with each update of the texts.

    Returns:
        All texts of the first prompt, then those of the next; and what has no effect, one line each.

    Raises:
        RequestError: If a prompt or a sampling parameter does not fit the model.
    """
    level = model.tokenizer.level
    if request.alternatives is not None and level != CHARACTER:
        # The text of other tokens does not say where they end.
        raise RequestError(
            400, f"logprobs needs a model of characters, and this is one of {level}s", param="logprobs"
        )
    try:
        sampling, warnings = checked_stops(request.sampling, model.metadata)
        texts: list[Text] = []
        # The model's own prompts, each of which is fed once.
        own: dict[str, Prompt] = {}
        for given in request.prompts:
            shared = None if given is None else _prompt(model, request, given)
            for choice in range(len(texts), len(texts) + request.choices):
                prompt = shared
                if prompt is None:
                    text = _own_prompt(model, request.seed + choice)
                    prompt = own[text] = own.get(text) or _prompt(model, request, text)
                # As in `Model.start`, before the prompt is fed.
                stream = model.engine.new_stream(request.seed, choice)
                generation = Generation(model, stream, sampling, prompt.text)
                _check_length(generation, request)
                texts.append(Text(prompt, generation, choice, request.length, request.alternatives, deliver))
    except PromptError as error:
        raise RequestError(400, error.spelled(spell_field), param="prompt") from None
    except SamplingError as error:
        raise sampling_error(error) from None
    return texts, warnings


def _check_length(generation: Generation, request: CompletionRequest) -> None:
    try:
        generation.check_length(request.length)
    except SamplingError as error:
        # The error names only the length.
        message = error.spelled(lambda _: request.length_field)
        raise RequestError(400, message, param=request.length_field) from None


def _prompt(model: Model, request: CompletionRequest, text: str) -> Prompt:
    return Prompt(model, text, request.unknown, request.alternatives if request.echo else None)


def _own_prompt(model: Model, number: int) -> str:
    """Return the text that ``Model.start`` continues without a prompt, for this seed plus substream."""
    if model.metadata.records is not None:
        return ""
    if not model.prompts:
        raise PromptError("the model has no prompt of its own: send one in the field prompt")
    return model.prompts[number % len(model.prompts)]
