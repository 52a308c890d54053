"""``quantize_onnx``: an 8-bit model file, and the comparison of its loss with that of the float32 model.

The module needs onnx and numpy, but not torch.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from textgen_runtime.errors import ModelFileError, OutputError, UnknownGraphError, shorten
from textgen_runtime.files import replace_file
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import ModelSource, Quantization, find_model_file, name_source, read_model
from textgen_runtime.score import predict
from textgen_runtime.text import SEPARATORS
from textgen_runtime.tokenizer import UnknownPolicy

from textgen_train.errors import ExportError

from .onnx_graph import replace_metadata
from .quantized_graph import is_quantized, quantize_graph

# On so many characters, the mean difference of the losses of two models has a standard error of less than
# 0.0001 nats.
GENERATED_CHARACTERS = 50_000

# The texts of a batch, and the tokens of each. Records may be shorter.
GENERATED_TEXTS, GENERATED_TOKENS = 64, 800

# Models whose records are short, or even empty, must not generate forever.
MAX_BATCHES = 100


def generate_text(model: Model) -> str:
    """Return about 50,000 characters that a model generates at temperature 1.

    On such a text, the loss of another model minus that of this model is an estimate of the Kullback-Leibler
    divergence: how far the predictions of the other model differ.
    """
    separator = "" if model.metadata.records is None else SEPARATORS[model.metadata.records]
    prompts = model.prompts or ("" if separator else next(filter(None, model.tokenizer.symbols)),)
    starts = [prompts[i % len(prompts)] for i in range(GENERATED_TEXTS)]
    texts: list[str] = []
    for seed in range(MAX_BATCHES):
        texts += model.generate(starts, length=GENERATED_TOKENS, temperature=1.0, seed=seed)
        if sum(map(len, texts)) >= GENERATED_CHARACTERS:
            break
    return separator.join(texts)


@dataclass(frozen=True)
class QuantizedModel:
    """A model with 8-bit weights, and the same model with float32 weights.

    Attributes:
        content: The bytes of the 8-bit model file, whose metadata states no losses.
    """

    content: bytes
    model: Model
    float32: Model
    float32_size: int

    def compared(
        self,
        loss: float,
        float32_loss: float,
        characters: int,
        text: Mapping[str, str | float] | None = None,
    ) -> "Quantized":
        """Return the 8-bit model, given the losses of both models in nats per character.

        Args:
            text: The ``name`` of the text, and the share at its end that was predicted as ``last``, which the
                file then states; None for a generated text.
        """
        increase, quantization = loss - float32_loss, Quantization()
        # `increase > REFUSED_INCREASE` would be false for NaN.
        if not increase <= REFUSED_INCREASE:
            raise ExportError(
                f"the 8-bit model was not written: its loss is {increase:.4f} nats per character above that "
                f"of the float32 model, more than {REFUSED_INCREASE}"
            )
        if text is not None:
            described = {**text, "characters": characters}
            quantization = Quantization(loss=loss, float32_loss=float32_loss, text=described)
        metadata = self.model.metadata._replace(quantization=quantization)
        content = replace_metadata(self.content, metadata)
        return Quantized(content, increase, characters, quantization, self.float32_size)


def quantize_model(content: bytes, threads: int = 1) -> QuantizedModel:
    """Return a model with 8-bit weights.

    Raises:
        ModelFileError: If the file is damaged.
        ExportError: If the model has 8-bit weights already, or is no LSTM of ``textgen-train``.
    """
    try:
        # This checks the values of the weights.
        float32 = open_model(content, threads=threads)
        proto = onnx.ModelProto.FromString(content)
    except UnknownGraphError as error:
        reason = error.__cause__
        raise ExportError(f"8 bits are for the LSTMs that textgen-train writes ({reason})") from error
    except DecodeError as error:
        raise ModelFileError(f"the file is damaged: {error}") from error
    if is_quantized(proto.graph):
        raise ExportError("the weights have 8 bits already: pass the float32 model")
    # This checks the values of the weights.
    float32 = open_model(content, threads=threads)
    quantize_graph(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    metadata = float32.metadata._replace(quantization=Quantization())
    quantized = replace_metadata(proto.SerializeToString(), metadata)
    return QuantizedModel(quantized, open_model(quantized, threads=threads), float32, len(content))


# The largest increase of the loss without a warning, in nats per character.
MAX_INCREASE = 0.0005

# With a larger increase, the 8-bit model does not do what the float32 model does. Its file is not written.
REFUSED_INCREASE = 0.01


@dataclass(frozen=True)
class Quantized:
    """An 8-bit model that was compared with its float32 model.

    Attributes:
        content: The bytes of the model file.
        increase: The loss of the 8-bit model minus that of the float32 model, in nats per character.
        characters: The number of characters that both have predicted.
        quantization: The metadata of the 8-bit weights.
        float32_size: The size of the file of the float32 model in bytes.
    """

    content: bytes
    increase: float
    characters: int
    quantization: Quantization
    float32_size: int

    @property
    def size(self) -> str:
        """The size of the file, compared with that of the float32 model, in words."""
        size = len(self.content)
        return f"{size:,} bytes, {size / self.float32_size:.1%} of {self.float32_size:,}"

    @property
    def warning(self) -> str:
        """A warning if 8 bits increase the loss by more than ``MAX_INCREASE``; otherwise ""."""
        # What is shown decides: 0.00051 is shown as 0.0005.
        if round(self.increase, 4) <= MAX_INCREASE:
            return ""
        return (
            f"8 bits increase the loss by {self.increase:.4f} nats per character; {MAX_INCREASE} or less is "
            "usual: compare texts of both models"
        )


def quantize_onnx(  # noqa: PLR0913 (keywords, each with a default)
    source: ModelSource,
    path: str | os.PathLike[str],
    text: str | None = None,
    *,
    name: str = "",
    last: float = 1.0,
    unknown: UnknownPolicy = "error",
) -> Quantized:
    """Write a model with 8-bit weights: int8 weights, and a float32 scale for each output of a matrix.

    Args:
        source: A model with float32 weights: a path, the name of a bundled model, bytes, or a binary file.
        path: The file of the 8-bit model. An existing file is replaced atomically.
        text: A text on which both models are scored. The file states the losses. If None, both models predict
            a text that the float32 model generates, and the file states no losses.
        name: The name of the text, which the file states.
        last: The share of the text to score, at its end, in (0, 1]. See ``textgen_runtime.predict``.
        unknown: What to do with characters of the text outside the vocabulary.

    Returns:
        The 8-bit model. Its loss is usually larger by less than 0.0005 nats per character.

    Raises:
        ModelFileError: If the model cannot be read.
        ExportError: If the model has 8-bit weights already, or is no LSTM of ``textgen-train``; or if 8 bits
            increase the loss by more than 0.01 nats per character.
        PromptError: As for ``textgen_runtime.predict``.
        ScoringError: As for ``textgen_runtime.predict``.
        OutputError: If the file cannot be written, or is that of the float32 model.
    """
    if isinstance(source, str | os.PathLike):
        refuse_input(Path(path), Path(find_model_file(source)))
    quantized = compare(read_quantized(source), text, name=name, last=last, unknown=unknown)
    replace_file(path, quantized.content)
    return quantized


def refuse_input(path: Path, source: Path) -> None:
    """Check that an output does not replace an input."""
    if path.exists() and source.exists() and path.samefile(source):
        raise OutputError(f"{shorten(str(path))} is an input; refusing to overwrite it: choose another file")


def read_quantized(source: ModelSource) -> QuantizedModel:
    """Read a model and convert it to 8 bits. The argument and the errors are those of ``quantize_onnx``."""
    content = read_model(source)
    try:
        return quantize_model(content)
    except (ModelFileError, ExportError) as error:
        raise type(error)(f"{name_source(source)}: ", *error.args) from error


def compare(
    models: QuantizedModel,
    text: str | None = None,
    *,
    name: str = "",
    last: float = 1.0,
    unknown: UnknownPolicy = "error",
) -> Quantized:
    """Compare the losses of an 8-bit model and its float32 model.

    The arguments and errors are those of ``quantize_onnx``.
    """
    if text is None:
        scored, unknown = generate_text(models.float32), "skip"
    else:
        scored = text
    score, float32_score = (
        predict(model, scored, last=last, unknown=unknown).score for model in (models.model, models.float32)
    )
    described: dict[str, str | float] | None = None if text is None else {"name": name, "last": last}
    return models.compared(score.nats, float32_score.nats, score.characters, described)
