"""``textgen-eval``: how well a model predicts texts."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.atomic import replace_file
from textgen_runtime.compressors import COMPRESSORS, compressed_bits
from textgen_runtime.errors import TextgenError
from textgen_runtime.generator import Model
from textgen_runtime.loading import load
from textgen_runtime.scoring import Prediction, Score, predict, total
from textgen_runtime.text_file import STANDARD_INPUT, read_text

from .shell import CommandParser, add_engine, add_model, number, run_command

PROG = "textgen-eval"

EXAMPLES = """\
examples:
  textgen-eval model.onnx chapter.txt
  textgen-eval model.onnx novel.txt --last 0.1
  textgen-eval nietzsche letters/*.txt --unknown skip --json
  textgen-eval model.onnx chapter.txt --surprise chapter.html
"""


@dataclass(frozen=True)
class Evaluated:
    """One text's figures.

    Attributes:
        name: What the text is called.
        prediction: How it was predicted; None for several texts together.
        score: What that comes to.
        skipped: Characters left out because the model does not know them.
        seconds: What predicting took.
        compressed: Bits that each compressor needs.
    """

    name: str
    prediction: Prediction | None
    score: Score
    skipped: int
    seconds: float
    compressed: dict[str, int]

    @property
    def characters_per_second(self) -> float:
        return self.score.characters / max(self.seconds, 1e-9)

    def as_json(self) -> dict[str, Any]:
        """The figures as ``--json`` writes them."""
        score = self.score
        return {
            "name": self.name,
            "characters": score.characters,
            "skipped": self.skipped,
            "nats": score.nats,
            "bits": score.bits,
            "perplexity": score.perplexity,
            "accuracy": score.accuracy,
            "seconds": self.seconds,
            "characters_per_second": self.characters_per_second,
            "compressors": {name: bits / score.characters for name, bits in self.compressed.items()},
        }

    def lines(self) -> list[str]:
        """The figures for a person."""
        score = self.score
        skipped = f", {self.skipped:,} unknown ones skipped" if self.skipped else ""
        beside = "  ".join(f"{name} {bits / score.characters:.3f}" for name, bits in self.compressed.items())
        predicted = f"{score.characters:,} characters predicted{skipped}"
        return [
            f"{self.name}: {predicted}, {self.characters_per_second:,.0f} characters/s",
            f"  {summary(score)}",
            f"  bits a character: model {score.bits:.3f}  {beside}",
        ]


def summary(score: Score) -> str:
    """A score in one line."""
    return (
        f"{score.nats:.4f} nats a character, {score.bits:.4f} bits, perplexity {score.perplexity:.3f}, "
        f"likeliest character right {score.accuracy:.1%}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: evaluate(arguments))


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG,
        "Score a model on texts: how surprised it is by each character, given all before it. Each text is\n"
        "read once, from a fresh state. Its first character has nothing before it and is not scored.\n"
        f"Beside the score stands what {', '.join(COMPRESSORS)} make of the same characters.",
        EXAMPLES,
    )
    add_model(command)
    command.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="a UTF-8 file, or - for standard input; several are also summed up",
    )
    command.add_argument(
        "--last",
        metavar="SHARE",
        type=number("a number above 0 and at most 1", lambda value: 0 < value <= 1),
        default=1.0,
        help="score only this share of each text, cut from its end: 0.1 is what textgen-train holds out of "
        "its corpus (default 1)",
    )
    command.add_argument(
        "--unknown",
        choices=("error", "skip"),
        default="error",
        help="what to do about characters that the model does not know (default error)",
    )
    command.add_argument("--json", action="store_true", help="write the figures as JSON")
    command.add_argument(
        "--surprise",
        metavar="FILE",
        type=Path,
        help="write to FILE an HTML page that shows the texts, each character coloured by its surprise",
    )
    add_engine(command)
    return command


def evaluate(arguments: argparse.Namespace) -> int:
    """Score all texts, then write what was asked for."""
    model = load(arguments.model, engine=arguments.engine)
    found = [evaluate_text(model, source, arguments) for source in arguments.texts]
    results = [*found, together(found)] if len(found) > 1 else found
    # A file's name need not be text, and the output's encoding may lack what it holds.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if arguments.json:
        document = {
            "model": arguments.model,
            "sha256": model.sha256,
            "engine": model.engine.name,
            "texts": [text.as_json() for text in found],
            "all": together(found).as_json(),
        }
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(line for text in results for line in text.lines()) + "\n")
    if arguments.surprise:
        write_page(arguments, found)
    return 0


def evaluate_text(model: Model, source: str, arguments: argparse.Namespace) -> Evaluated:
    """Read and score one text.

    Raises:
        TextFileError: If it cannot be read.
        TextgenError: If it cannot be scored; its name is in the message.
    """
    name = "standard input" if source == STANDARD_INPUT else source
    text = read_text(source)
    before = perf_counter()
    try:
        prediction = predict(model, text, last=arguments.last, unknown=arguments.unknown)
    except TextgenError as error:
        raise type(error)(f"{name}: {error}") from error
    seconds = perf_counter() - before
    return Evaluated(
        name, prediction, prediction.score, prediction.skipped, seconds, compressed_bits(prediction.text)
    )


def together(texts: Sequence[Evaluated]) -> Evaluated:
    """Several texts as one; each was read and compressed on its own."""
    return Evaluated(
        "all together",
        None,
        total([text.score for text in texts]),
        sum(text.skipped for text in texts),
        sum(text.seconds for text in texts),
        {name: sum(text.compressed[name] for text in texts) for name in COMPRESSORS},
    )


def write_page(arguments: argparse.Namespace, texts: Sequence[Evaluated]) -> None:
    """Write the page of ``--surprise``.

    Raises:
        OutputError: If it cannot be written.
    """
    # Only here, because most runs draw no page.
    from textgen_runtime.surprise_page import surprise_page

    shown = [(text.name, summary(text.score), text.prediction) for text in texts if text.prediction]
    page = surprise_page(f"What surprises {Path(arguments.model).name}", shown)
    replace_file(arguments.surprise, page.encode(errors="replace"))
