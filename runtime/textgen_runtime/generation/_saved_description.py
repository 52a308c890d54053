"""The JSON part of a saved generation: all of its position but the state and the logits.

Format 1 has no format number. It has a temperature, or the sampling parameters of the first version. Format 2
adds the states of the filters, the stop texts and the constraint.
"""

from collections.abc import Mapping
from typing import Any, get_args

from textgen_runtime.engines.base import FloatBuffer, Generated, State
from textgen_runtime.errors import SavedGenerationError, quote
from textgen_runtime.sampling.filter_state import FilterState
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.sampling.sampler import Sampler

from .generation import Generation
from .model import Model
from .text_progress import TextEnding, TextPosition

FORMAT = 2

# Optional: the end of the text, for a person who goes on with it.
END_OF_TEXT = "end_of_text"

ENDINGS = (None, *get_args(TextEnding))


def describe(generation: Generation) -> dict[str, Any]:
    """Return the description of a generation, as values that JSON can store."""
    sampler, position = generation.sampler, generation.position._asdict()
    if not position["at_end"]:
        # Versions without records do not know it.
        del position["at_end"]
    if not position["drawn"]:
        # Nor do they know this, which is 0 without a minimum length.
        del position["drawn"]
    description: dict[str, Any] = {
        "format": FORMAT,
        "model": generation.model.sha256,
        "prompt": generation.prompt,
        "sampling": generation.sampling.changed(),
        "seed": sampler.seed,
        "substream": sampler.substream,
        "position": sampler.position,
        "text": {**position, "constraint": generation.constraint_digest},
    }
    if generation.tail:
        description["tail"] = list(generation.tail)
    if sampler.filter_state is not None:
        description["filters"] = sampler.filter_state._asdict()
    return description


def check_format(description: Mapping[str, Any]) -> None:
    """Raise SavedGenerationError if a later version wrote the description."""
    if description.get("format", 1) not in (1, FORMAT):
        raise SavedGenerationError(
            f"the file has format {quote(description['format'])}, and this version reads formats 1 and "
            f"{FORMAT}: upgrade textgen-onnx"
        )


def restore(model: Model, description: Mapping[str, Any], logits: FloatBuffer, state: State) -> Generation:
    """Return the generation of a description. Any exception means that the description is damaged.

    Raises:
        SavedGenerationError: If the description is damaged, or from a later version.
    """
    tokens = _checked_tokens(model, description.get("tail", []))
    prompt = description["prompt"]
    _check_printable(prompt)
    sampling = _read_sampling(description)
    sampler = Sampler(seed=description["seed"], substream=description["substream"])
    sampler.position = description["position"]
    last = Generated(tokens, logits, state, None)
    text = dict(description.get("text", {}))
    digest = text.pop("constraint", None)
    position = TextPosition(**text | {"held": tuple(_checked_tokens(model, text.get("held", [])))})
    generation = Generation.from_parts(model, sampler, sampling, prompt, last, position)
    if digest != generation.constraint_digest:
        raise SavedGenerationError(
            "another version of textgen-onnx compiled the constraint, and its position has another "
            "meaning: start a new generation"
        )
    if position.ending not in ENDINGS or not generation.has_valid_position():
        raise SavedGenerationError(
            "the position in the stop texts or the constraint is not valid: the file is damaged"
        )
    if "filters" in description:
        filters = description["filters"]
        recent = _checked_tokens(model, filters["recent"])
        if len(recent) > sampling.penalty_window:
            raise SavedGenerationError(
                "there are more recent tokens than the penalty window: the file is damaged"
            )
        sampler.filter_state = FilterState(tuple(recent), filters["mirostat_mu"])
    return generation


def read_end(description: Mapping[str, Any]) -> str:
    """Return the end of the text, empty if it is not stored. Any exception means that it is damaged."""
    end: str = description.get(END_OF_TEXT, "")
    _check_printable(end)
    return end


def _check_printable(text: str) -> None:
    """Check that UTF-8 can encode a text. Otherwise it could not be printed."""
    text.encode()


def _checked_tokens(model: Model, tokens: list[int]) -> list[int]:
    if not all(type(token) is int and 0 <= token < len(model.tokenizer) for token in tokens):
        raise SavedGenerationError("the last tokens are not in the vocabulary: the file is damaged")
    return tokens


def _read_sampling(description: Mapping[str, Any]) -> Sampling:
    """Return the sampling parameters. The first versions stored only a temperature."""
    if "sampling" not in description:
        return Sampling(temperature=description["temperature"])
    options = description["sampling"]
    unsupported = set(options) - set(Sampling.__slots__)
    if unsupported:
        raise SavedGenerationError(
            f"this version does not support the sampling parameters {quote(sorted(unsupported))}: "
            "upgrade textgen-onnx"
        )
    return Sampling(**options)
