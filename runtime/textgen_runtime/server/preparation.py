"""From a request to its texts."""

from collections.abc import Callable
from typing import NamedTuple

from textgen_runtime.errors import PromptError, SamplingError
from textgen_runtime.generation.generation import Generation
from textgen_runtime.generation.model import Model
from textgen_runtime.generation.stop_warnings import checked_stops
from textgen_runtime.sampling.parameters import CONSTRAINTS, Sampling
from textgen_runtime.text.levels import CHARACTER

from .completion_request import CompletionRequest
from .errors import RequestError
from .sampling_fields import sampling_error, spell_field
from .text import Prompt, Text, Update

# The event loop itself prepares requests of at most this many characters and texts, without a constraint.
# That takes a few milliseconds at most. The stop texts are prepared again for each text.
QUICK_CHARACTERS = 20_000
QUICK_STOP_CHARACTERS = 500
QUICK_TEXTS = 16


class Prepared(NamedTuple):
    """The texts of a request.

    Attributes:
        texts: The texts: all choices of the first prompt, then those of the next.
        warnings: What has no effect, one line each.
    """

    texts: list[Text]
    warnings: list[str]


def is_quick(request: CompletionRequest) -> bool:
    """Return whether ``prepare`` takes only a few milliseconds."""
    return (
        request.texts <= QUICK_TEXTS
        and request.characters <= QUICK_CHARACTERS
        and sum(map(len, request.sampling.stop)) <= QUICK_STOP_CHARACTERS
        and all(getattr(request.sampling, name) is None for name in CONSTRAINTS)
    )


def prepare(model: Model, request: CompletionRequest, deliver: Callable[[Update], None]) -> Prepared:
    """Encode the prompts, compile the sampling parameters, and create the texts.

    Args:
        model: The model.
        request: The request.
        deliver: Called with each update of the texts.

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
                generation = _generation(model, sampling, request.seed, choice, prompt)
                _check_length(generation, request)
                texts.append(Text(prompt, generation, choice, request.length, request.alternatives, deliver))
    except PromptError as error:
        raise RequestError(400, error.spelled(spell_field), param="prompt") from None
    except SamplingError as error:
        raise sampling_error(error) from None
    return Prepared(texts, warnings)


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


def _generation(model: Model, sampling: Sampling, seed: int, substream: int, prompt: Prompt) -> Generation:
    """Return a generation like that of ``Model.start``, before the prompt is fed."""
    return Generation(model, model.engine.new_stream(seed, substream), sampling, prompt.text)
