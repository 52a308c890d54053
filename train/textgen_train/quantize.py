"""Models with 8-bit weights, compared with their float32 models; the command ``textgen-quantize``."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime.cli.command import run_command
from textgen_runtime.cli.parser import CORPUS_HELP, MODEL, SHARE, UNKNOWN, CommandParser
from textgen_runtime.corpus import corpus_for
from textgen_runtime.errors import ModelFileError, OutputError, UnknownGraphError, shorten
from textgen_runtime.files import check_writable, replace_file
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.json_text import to_json
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import (
    QUANTIZATION_KEY,
    ModelSource,
    Quantization,
    find_model_file,
    name_source,
    read_model,
    unambiguous_path,
)
from textgen_runtime.score import predict
from textgen_runtime.terminal import print_diagnostic
from textgen_runtime.text import SEPARATORS
from textgen_runtime.tokenizer import UnknownPolicy

from . import _core
from .errors import ExportError

PROG = "textgen-quantize"

EXAMPLES = """\
examples:
  textgen-quantize model.onnx -o small.onnx
  textgen-quantize my-novel-model -o small.onnx --text my-novel.txt --last 0.1
"""

# The largest increase of the loss without a warning, and with a file, in nats per character.
MAX_INCREASE, REFUSED_INCREASE = 0.0005, 0.01

# On so many characters, the mean difference of two losses has a standard error of less than 0.0001 nats.
GENERATED_CHARACTERS, GENERATED_TEXTS, GENERATED_TOKENS = 50_000, 64, 800

# Models whose records are short, or even empty, must not generate forever.
MAX_BATCHES = 100


@dataclass(frozen=True)
class Quantized:
    """A model with 8-bit weights that was compared with its float32 model.

    Attributes:
        content: The bytes of the model file.
        quantization: Its metadata: both losses, if a text was scored.
        increase: The loss of the 8-bit model minus that of the float32 model, in nats per character.
        characters: The number of characters that both have predicted.
        float32_size: The size of the file of the float32 model in bytes.
    """

    content: bytes
    quantization: Quantization
    increase: float
    characters: int
    float32_size: int

    @property
    def size(self) -> str:
        """The size of the file, compared with that of the float32 model, in words."""
        size = len(self.content)
        return f"{size:,} bytes, {size / self.float32_size:.1%} of {self.float32_size:,}"

    @property
    def warning(self) -> str:
        """A warning if 8 bits increase the loss by more than 0.0005 nats per character; otherwise ""."""
        # What is shown decides: 0.00051 is shown as 0.0005.
        if round(self.increase, 4) <= MAX_INCREASE:
            return ""
        return (
            f"8 bits increase the loss by {self.increase:.4f} nats per character; {MAX_INCREASE} or less is "
            "usual: compare texts of both models"
        )


def convert(content: bytes) -> tuple[Model, Model]:
    """Return a model, and the same model with 8-bit weights.

    Raises:
        ModelFileError: If the file is damaged, or has 8-bit weights already.
        ExportError: If the model is no LSTM of ``textgen-train``.
    """
    try:
        return open_model(content), open_model(_core.quantize(content))
    except UnknownGraphError as error:
        raise ExportError("8 bits are for the LSTMs that textgen-train writes") from error


def compared(
    content: bytes, losses: tuple[float, float], characters: int, name: str | None, last: float
) -> Quantized:
    """Return the 8-bit model, whose file states the losses.

    Args:
        content: The bytes of the float32 model.
        losses: Those of the float32 model and of the 8-bit model, in nats per character.
        characters: The number of characters that were scored.
        name: The name of the text; None for a generated one, whose losses the file does not state.
        last: The share of the text that was scored, at its end.

    Raises:
        ExportError: If 8 bits increase the loss by more than 0.01 nats per character.
    """
    increase = losses[1] - losses[0]
    # `increase > REFUSED_INCREASE` would be false for NaN.
    if not increase <= REFUSED_INCREASE:
        raise ExportError(
            f"the 8-bit model was not written: its loss is {increase:.4f} nats per character above that of "
            f"the float32 model, more than {REFUSED_INCREASE}"
        )
    quantization = Quantization()
    if name is not None:
        text = {"name": name, "last": last, "characters": characters}
        quantization = Quantization(loss=losses[1], float32_loss=losses[0], text=text)
    metadata = {QUANTIZATION_KEY: to_json(quantization.as_json(), ascii_only=False)}
    return Quantized(_core.quantize(content, metadata), quantization, increase, characters, len(content))


def quantize_model(
    source: ModelSource,
    text: str | None = None,
    *,
    name: str = "",
    last: float = 1.0,
    unknown: UnknownPolicy = "error",
) -> Quantized:
    """Return a model with 8-bit weights: int8 weights, and a float32 scale for each output of a matrix.

    Args:
        source: A model with float32 weights: a path, the name of a bundled model, bytes, or a binary file.
        text: A text on which both models are scored. The file states the losses. If None, both models predict
            a text that the float32 model generates, and the file states no losses.
        name: The name of the text, which the file states.
        last: The share of the text to score, at its end, in (0, 1]. See ``textgen_runtime.predict``.
        unknown: What to do with characters of the text outside the vocabulary.

    Returns:
        The 8-bit model. Its loss is usually larger by less than 0.0005 nats per character.

    Raises:
        ModelFileError: If the model cannot be read, or has 8-bit weights already.
        ExportError: If it is no LSTM of ``textgen-train``, or if 8 bits increase the loss by more than 0.01
            nats per character.
        PromptError, ScoringError: As for ``textgen_runtime.predict``.
    """
    content = read_model(source)
    try:
        models = convert(content)
    except (ModelFileError, ExportError) as error:
        raise type(error)(f"{name_source(source)}: ", *error.args) from error
    scored = generate_text(models[0]) if text is None else text
    policy: UnknownPolicy = "skip" if text is None else unknown
    scores = [predict(model, scored, last=last, unknown=policy).score for model in models]
    losses = scores[0].nats, scores[1].nats
    return compared(content, losses, scores[0].characters, None if text is None else name, last)


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


# ---- The command ----

# The options that change the text.
TEXT_OPTIONS = ("last", "unknown", "lowercase")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-train``."""
    command = parser()
    arguments = command.parse_args(argv)
    for name in TEXT_OPTIONS if arguments.text is None else ():
        if getattr(arguments, name) != command.get_default(name):
            command.error(f"--{name} requires --text TEXT")
    return run_command(PROG, quantize, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Convert a model to 8-bit weights. The new file has about a quarter of the size, and every\n"
        "ONNX runtime can read it. The command compares the losses of both models on a text.",
        EXAMPLES,
    )
    command.usage = "%(prog)s MODEL -o PATH [OPTIONS]"
    command.add_argument("model", **MODEL)
    command.add_argument(
        "-o", "--output", metavar="PATH", type=Path, required=True, help="the file of the 8-bit model"
    )
    command.add_argument("--overwrite", action="store_true", help="replace an existing file")
    command.add_argument(
        "--text",
        metavar="TEXT",
        help="text on which both models are scored; the losses are stored in the file; TEXT is "
        f"{CORPUS_HELP} (default: a text that the model generates, whose losses are not stored)",
    )
    command.add_argument(
        "--last",
        metavar="SHARE",
        type=SHARE,
        default=1.0,
        help="score only the last SHARE of the text, as textgen-eval does (default: 1)",
    )
    command.add_argument("--unknown", **UNKNOWN)
    command.add_argument("--lowercase", action="store_true", help="convert the text to lower case")
    return command


def quantize(arguments: argparse.Namespace) -> int:
    """Write the 8-bit model, and print its size and both losses; return the exit code."""
    output: Path = arguments.output
    _refuse_input(output, find_model_file(arguments.model))
    if output.exists() and not arguments.overwrite:
        raise OutputError(f"{shorten(str(output))} exists: choose another file with -o, or pass --overwrite")
    check_writable(output)
    name, text = "", None
    if arguments.text is not None:
        metadata = open_model(read_model(arguments.model)).metadata
        corpus = corpus_for(metadata, arguments.text)
        for file in corpus.files:
            _refuse_input(output, file)
        name, text = corpus.name, corpus.text.lower() if arguments.lowercase else corpus.text
    quantized = quantize_model(
        arguments.model, text, name=name, last=arguments.last, unknown=arguments.unknown
    )
    with DeferredInterrupts():
        replace_file(output, quantized.content)
    if quantized.warning:
        print_diagnostic(PROG, quantized.warning, "warning")
    # A file may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    characters, scores = f"{quantized.characters:,} characters", quantized.quantization
    if scores.loss is None or scores.float32_loss is None:
        losses = (
            f"no text was scored (--text); on {characters} that the model generated, the loss changes by "
            f"{quantized.increase:+z.4f} nats per character"
        )
    else:
        losses = (
            f"{scores.loss:.4f} nats per character, {scores.float32_loss:.4f} with float32 weights "
            f"({quantized.increase:+z.4f}), on {characters}"
        )
    sys.stdout.write(
        f"wrote {output}: {quantized.size}\n{losses}\n"
        f"next: textgen-run {shlex.quote(unambiguous_path(output))} --temp 0.5\n"
    )
    return 0


def _refuse_input(output: Path, source: str | os.PathLike[str]) -> None:
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise OutputError(
            f"{shorten(str(output))} is an input; refusing to overwrite it: choose another file"
        )
