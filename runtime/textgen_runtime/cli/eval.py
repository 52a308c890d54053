"""``textgen-eval``: score texts with a model."""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textgen_runtime.baselines import COMPRESSORS, compressed_bits
from textgen_runtime.corpus import CORPUS_NAMES, corpus_for
from textgen_runtime.errors import TextgenError
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.json_text import to_json
from textgen_runtime.model import Model, load
from textgen_runtime.score import Prediction, Score, predict, total_score
from textgen_runtime.surprise_page import surprise_page
from textgen_runtime.temperatures import COPIED_SPAN, TEXTS, copied_shares, draw_texts
from textgen_runtime.terminal import print_diagnostic

from ._output_files import check_output, write_output
from .command import EXIT_FAILED, run_command, spell_option
from .info import format_pairs
from .parser import CORPUS_HELP, ENGINE, MODEL, SHARE, UNKNOWN, CommandParser

PROG = "textgen-eval"

EXAMPLES = """\
examples:
  textgen-eval model.onnx chapter.txt
  textgen-eval model.onnx novel.txt --last 0.1
  textgen-eval nietzsche nietzsche --last 0.1
  textgen-eval model.onnx letters/ chapter.txt --unknown skip --json
  textgen-eval model.onnx chapter.txt --surprise chapter.html
  textgen-eval model.onnx corpus.txt --copied
"""


class EvalResult(NamedTuple):
    """The result of one text, or of several texts combined.

    Attributes:
        name: The name of the text.
        score: The score of the text.
        counts: The number of ``records`` whose end was scored, of characters that were ``skipped`` because
            they are outside the vocabulary, and of tokens that were scored as the ``unknown`` symbol.
        compressed: Compressed size in bits, by compressor.
        copied: The share of generated text that is copied from this text, by temperature; empty if it was not
            measured.
        prediction: The prediction of each token, or None if it is not needed.
    """

    name: str
    score: Score
    counts: dict[str, int]
    compressed: dict[str, int]
    copied: Mapping[float, float]
    prediction: Prediction | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result as values that JSON can store."""
        score = self.score
        return {
            "name": self.name,
            "characters": score.characters,
            "tokens": score.tokens,
            **self.counts,
            "nats": score.nats,
            "bits": score.bits,
            "nats_per_token": score.token_nats,
            # JSON has no infinity. A model with a character of probability 0 has infinite perplexity.
            "perplexity": score.perplexity if math.isfinite(score.perplexity) else None,
            "accuracy": score.accuracy,
            "compressors": {name: bits / score.characters for name, bits in self.compressed.items()},
            "copied": {f"{temperature:g}": share for temperature, share in self.copied.items()},
        }


def combined(results: Sequence[EvalResult]) -> EvalResult:
    """Return the result of several texts combined. Each was scored and compressed separately."""
    counts, compressed = Counter[str](), Counter[str]()
    for result in results:
        counts.update(result.counts)
        compressed.update(result.compressed)
    return EvalResult("all texts", total_score([result.score for result in results]), counts, compressed, {})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    command = parser()
    arguments = command.parse_args(argv)
    if arguments.texts.count(STANDARD_INPUT) > 1:
        command.error(f"standard input ({STANDARD_INPUT}) can be read only once")
    if arguments.surprise == Path(STANDARD_INPUT):
        command.error("--surprise requires a file name: it cannot write to standard output")
    return run_command(PROG, evaluate, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Measure how well a model predicts texts. The model predicts each character\n"
        "from all characters before it. Each text starts from a zero state. The first\n"
        "character is not scored. With a model of records, each record starts from a\n"
        "zero state, and its end counts as one character. For comparison, the same\n"
        f"characters are compressed with each of {', '.join(COMPRESSORS)}.",
        EXAMPLES,
    )
    command.add_argument("model", **MODEL)
    command.add_argument("texts", metavar="TEXT", nargs="+", help=f"{CORPUS_HELP}: {', '.join(CORPUS_NAMES)}")
    command.add_argument(
        "--last",
        metavar="SHARE",
        type=SHARE,
        default=1.0,
        help="score only the last SHARE of each text, or the SHARE of records that textgen-train holds out "
        "(default: 1)",
    )
    command.add_argument("--unknown", **UNKNOWN)
    command.add_argument("--lowercase", action="store_true", help="convert the texts to lower case")
    command.add_argument("--json", action="store_true", help="print the results as JSON")
    command.add_argument(
        "--copied",
        action="store_true",
        help=f"also generate {TEXTS} texts at each of some temperatures, and print which share of them is "
        f"copied from TEXT, in spans of {COPIED_SPAN} or more characters",
    )
    command.add_argument(
        "--surprise", metavar="PATH", type=Path, help="also write a page that colors characters by surprisal"
    )
    command.add_argument("--engine", **ENGINE)
    return command


def evaluate(arguments: argparse.Namespace) -> int:
    """Score all texts and write the results; return the exit code.

    One failed text does not stop the others.
    """
    if arguments.surprise:
        check_output("--surprise", arguments.surprise)
    model = load(arguments.model, engine=arguments.engine)
    # The same texts are compared with each TEXT.
    drawn = draw_texts(model) if arguments.copied else {}
    results, code = [], 0
    for source in arguments.texts:
        try:
            results.append(score_text(model, source, arguments, drawn))
        except TextgenError as error:
            print_diagnostic(PROG, error.spelled(spell_option))
            code = EXIT_FAILED
    if not results:
        return code
    # Before the results, because writing those fails if the reader of the pipe has exited.
    if arguments.surprise:
        pages = [
            (result.name, f"{result.score.bits:.4f} bits per character", result.prediction)
            for result in results
            if result.prediction
        ]
        page = surprise_page(f"Surprisal with the model {Path(arguments.model).name}", pages)
        write_output(arguments.surprise, page.encode(errors="replace"))
    document: dict[str, Any] = {
        "model": arguments.model,
        "sha256": model.sha256,
        "engine": model.engine.name,
        "last": arguments.last,
        "unknown": arguments.unknown,
        "lowercase": arguments.lowercase,
        "texts": [result.as_json() for result in results],
        "all": combined(results).as_json(),
    }
    # A file name may contain characters that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if arguments.json:
        sys.stdout.write(f"{to_json(document, indent=1)}\n")
    else:
        shown = [*document["texts"], *([document["all"]] if len(results) > 1 else [])]
        lines = [line for one in shown for line in format_pairs({one.pop("name"): one})]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return code


def score_text(
    model: Model, source: str, arguments: argparse.Namespace, drawn: Mapping[float, Sequence[str]]
) -> EvalResult:
    """Read and score one text.

    Args:
        model: The model.
        source: The text, as on the command line.
        arguments: The arguments.
        drawn: The texts that may be copied from it, by temperature; empty without ``--copied``.

    Raises:
        CorpusError: If the text is missing or empty, or a named corpus is not available.
        TextFileError: If the text cannot be read, or is not UTF-8.
        TextgenError: If the text cannot be scored. The message starts with its name.
    """
    name = "standard input" if source == STANDARD_INPUT else source
    text = corpus_for(model.metadata, source).text
    if arguments.lowercase:
        text = text.lower()
    try:
        prediction = predict(model, text, last=arguments.last, unknown=arguments.unknown)
    except TextgenError as error:
        raise type(error)(f"{name}: ", *error.args) from error
    return EvalResult(
        name,
        prediction.score,
        {"records": prediction.ends, "skipped": prediction.skipped, "unknown": prediction.unknown},
        compressed_bits(prediction.text),
        copied_shares(drawn, model.metadata.normalize(text)) if drawn else {},
        # Its size is proportional to the text, and only the page needs it.
        prediction if arguments.surprise else None,
    )
