"""``textgen-eval``: how well a model predicts texts."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from textgen_runtime.corpora.corpus import NAMES, read_corpus
from textgen_runtime.errors import OutputError, TextgenError
from textgen_runtime.generation.loading import load
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.compressors import COMPRESSORS, compressed_bits
from textgen_runtime.scoring.prediction import predict
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.json_text import to_json
from textgen_runtime.system.text_files import STANDARD_INPUT

from ._eval_result import EvalResult, combined, summary
from ._output_files import check_output, write_output
from .command import EXIT_FAILED, run_command
from .parser import CommandParser, add_engine, add_lowercase, add_model, number

PROG = "textgen-eval"

EXAMPLES = """\
examples:
  textgen-eval model.onnx chapter.txt
  textgen-eval model.onnx novel.txt --last 0.1
  textgen-eval nietzsche nietzsche --last 0.1
  textgen-eval model.onnx letters/ chapter.txt --unknown skip --json
  textgen-eval model.onnx chapter.txt --surprise chapter.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    command = parser()
    arguments = command.parse_args(argv)
    if arguments.texts.count(STANDARD_INPUT) > 1:
        command.error(f"{STANDARD_INPUT}, standard input, can be read only once")
    if arguments.surprise == Path(STANDARD_INPUT):
        command.error("--surprise wants the name of a file for its page")
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
        help="a UTF-8 file, a folder of .txt files (also in sub-folders), - for standard input, or a name: "
        f"{', '.join(NAMES)}; several are also summed up",
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
        help="what to do about characters that the model does not know: error refuses the text, but a model "
        "with an unknown symbol reads and scores them as that symbol; skip leaves them out; both are counted "
        "(default error)",
    )
    add_lowercase(command, "the texts")
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
    """Score all texts, then write what was asked for; one that cannot be scored costs no other its score."""
    if arguments.surprise:
        # Only here, because most runs draw no page.
        from textgen_runtime.scoring.surprise_page import is_surprise_page

        check_output("--surprise", arguments.surprise, "page", PROG, is_surprise_page)
    model = load(arguments.model, engine=arguments.engine)
    found, code = [], 0
    for source in arguments.texts:
        try:
            found.append(score_text(model, source, arguments))
        except TextgenError as error:
            print_diagnostic(PROG, str(error))
            code = EXIT_FAILED
        except MemoryError:
            print_diagnostic(PROG, f"{source}: there is not enough memory for this text")
            code = EXIT_FAILED
    if not found:
        return code
    # Before the figures, because their reader may have gone away.
    if arguments.surprise:
        try:
            write_page(arguments, found)
        except OutputError as error:
            print_diagnostic(PROG, str(error))
            code = EXIT_FAILED
    write_figures(arguments, model, found)
    return code


def score_text(model: Model, source: str, arguments: argparse.Namespace) -> EvalResult:
    """Read and score one text.

    Raises:
        CorpusError: If it cannot be had, or is empty.
        TextFileError: If it cannot be read, or is not UTF-8.
        TextgenError: If it cannot be scored; its name is in the message.
    """
    name = "standard input" if source == STANDARD_INPUT else source
    text = read_corpus(source).text
    if arguments.lowercase:
        text = text.lower()
    before = perf_counter()
    try:
        prediction = predict(model, text, last=arguments.last, unknown=arguments.unknown)
    except TextgenError as error:
        raise type(error)(f"{name}: {error}") from error
    seconds = perf_counter() - before
    return EvalResult(
        name,
        # It has a number for each character, which nothing but the page shows.
        prediction if arguments.surprise else None,
        prediction.score,
        prediction.skipped,
        seconds,
        compressed_bits(prediction.text),
        arguments.last,
        prediction.unknown,
    )


def write_figures(arguments: argparse.Namespace, model: Model, texts: Sequence[EvalResult]) -> None:
    """Write the figures to standard output, for a person or as JSON."""
    # A file's name need not be text, and the output's encoding may lack what it holds.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not arguments.json:
        shown = [*texts, combined(texts)] if len(texts) > 1 else texts
        sys.stdout.write("\n".join(line for text in shown for line in text.lines()) + "\n")
        return
    document = {
        "model": arguments.model,
        "sha256": model.sha256,
        "engine": model.engine.name,
        "last": arguments.last,
        "unknown": arguments.unknown,
        "lowercase": arguments.lowercase,
        "texts": [text.as_json() for text in texts],
        "all": combined(texts).as_json(),
    }
    sys.stdout.write(to_json(document, indent=1) + "\n")


def write_page(arguments: argparse.Namespace, texts: Sequence[EvalResult]) -> None:
    """Write the page of ``--surprise``.

    Raises:
        OutputError: If it cannot be written.
    """
    # Only here, because most runs draw no page.
    from textgen_runtime.scoring.surprise_page import surprise_page

    shown = [
        (text.name, f"{text.predicted}; {summary(text.score)}", text.prediction)
        for text in texts
        if text.prediction
    ]
    page = surprise_page(f"What surprises {Path(arguments.model).name}", shown)
    write_output(arguments.surprise, page.encode(errors="replace"))
