"""From a checked request to its texts."""

from collections import Counter
from collections.abc import Callable

from textgen_runtime.controls import checked_stops
from textgen_runtime.errors import PromptError, SamplingError
from textgen_runtime.model import Generation, Model
from textgen_runtime.tokenizer import CHARACTER, unknown_characters_warning

from .completion_request import CompletionRequest
from .requests import RequestError, sampling_error, spell_field
from .text import Prompt, Text, Update


def prepare(
    model: Model, request: CompletionRequest, deliver: Callable[[Update], None]
) -> tuple[list[Text], list[str]]:
    """Encode the prompts, compile the sampling parameters, and create the texts.

    Args:
        model: The model.
        request: The request.
        deliver: Called with each update of the texts.

    Returns:
        All texts of the first prompt, then those of the next; and warnings about what has no effect or is
        outside the vocabulary, one line each.

    Raises:
        RequestError: If a prompt or a sampling parameter does not fit the model.
    """
    level = model.tokenizer.level
    if request.alternatives is not None and level != CHARACTER:
        # The text of other tokens does not say where they end.
        raise RequestError(
            400, f"logprobs needs a model of characters, but this is a model of {level}s", param="logprobs"
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
                    text = model.default_prompt(request.seed + choice)
                    prompt = own[text] = own.get(text) or _prompt(model, request, text)
                # As in `Model.start`, before the prompt is fed.
                stream = model.engine.new_stream(request.seed, choice)
                generation = Generation(model, stream, sampling, prompt.text)
                _check_length(generation, request)
                texts.append(Text(prompt, generation, choice, request.length, request.alternatives, deliver))
    except PromptError as error:
        raise RequestError(400, error.spelled(spell_field), param=request.prompt_field) from None
    except SamplingError as error:
        raise sampling_error(error) from None
    return texts, warnings + _unknown_warnings(model, request)


def _unknown_warnings(model: Model, request: CompletionRequest) -> list[str]:
    """Return a warning about the characters of accepted prompts that are outside the vocabulary, if any."""
    unknown: Counter[str] = Counter()
    for given in filter(None, request.prompts):
        unknown += model.tokenizer.count_unknown(model.metadata.normalize(given))
    return [unknown_characters_warning(unknown, request.unknown)] if unknown else []


def _check_length(generation: Generation, request: CompletionRequest) -> None:
    try:
        generation.check_length(request.length)
    except SamplingError as error:
        # The error names only the length.
        message = error.spelled(lambda _: request.length_field)
        raise RequestError(400, message, param=request.length_field) from None


def _prompt(model: Model, request: CompletionRequest, text: str) -> Prompt:
    return Prompt(model, text, request.unknown, request.alternatives if request.echo else None)
