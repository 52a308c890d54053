"""``textgen-eval``: score texts with a model."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from textgen_runtime.corpora.corpus import CORPUS_NAMES, corpus_for
from textgen_runtime.errors import OutputError, TextgenError
from textgen_runtime.generation.loading import load
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.compressors import COMPRESSORS, compressed_bits
from textgen_runtime.scoring.prediction import predict
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.json_text import to_json
from textgen_runtime.system.text_files import STANDARD_INPUT

from ._eval_result import EvalResult, combined, format_score
from ._output_files import check_output, write_output
from .command import EXIT_FAILED, run_command, spell_option
from .parser import CommandParser, add_engine, add_lowercase, add_model, add_unknown, number

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
        command.error(f"standard input ({STANDARD_INPUT}) can be read only once")
    if arguments.surprise == Path(STANDARD_INPUT):
        command.error("--surprise requires a file name: it cannot write to standard output")
    return run_command(PROG, lambda: evaluate(arguments))


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Measure how well a model predicts texts. The model predicts each character\n"
        "from all characters before it. Each text starts from a zero state. The first\n"
        "character is not scored. With a model of records, each record starts from a\n"
        "zero state, and its end counts as one character. For comparison, the same\n"
        f"characters are compressed with {', '.join(COMPRESSORS)}.",
        EXAMPLES,
    )
    add_model(command)
    command.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="a UTF-8 file, a folder with .txt or .abc files, - for standard input, or the name of a corpus: "
        f"{', '.join(CORPUS_NAMES)}; several texts are scored in order",
    )
    command.add_argument(
        "--last",
        metavar="SHARE",
        type=number("a number above 0 and at most 1", lambda value: 0 < value <= 1),
        default=1.0,
        help="score only the last SHARE of each text, without the text before it; with a model of records, "
        "only the records that training holds out with this share; textgen-train holds out 0.1, or less of a "
        "corpus of more than 10 million characters (default: 1)",
    )
    add_unknown(command, "characters")
    add_lowercase(command, "the texts")
    command.add_argument("--json", action="store_true", help="print the results as JSON")
    command.add_argument(
        "--surprise",
        metavar="PATH",
        type=Path,
        help="write an HTML page to PATH that colors each character by its surprisal; only an earlier page "
        "is replaced",
    )
    add_engine(command)
    return command


def evaluate(arguments: argparse.Namespace) -> int:
    """Score all texts and write the results; return the exit code.

    One failed text does not stop the others.
    """
    if arguments.surprise:
        # Imported here because most runs write no page.
        from textgen_runtime.scoring.surprise_page import is_surprise_page

        check_output("--surprise", arguments.surprise, "page", PROG, is_surprise_page)
    model = load(arguments.model, engine=arguments.engine)
    results, code = [], 0
    for source in arguments.texts:
        try:
            results.append(score_text(model, source, arguments))
        except TextgenError as error:
            print_diagnostic(PROG, error.spelled(spell_option))
            code = EXIT_FAILED
        except MemoryError:
            print_diagnostic(PROG, f"{source}: not enough memory to score this text")
            code = EXIT_FAILED
    if not results:
        return code
    # Before the results, because writing those fails if the reader of the pipe has exited.
    if arguments.surprise:
        try:
            write_page(arguments, results)
        except OutputError as error:
            print_diagnostic(PROG, error.spelled(spell_option))
            code = EXIT_FAILED
    write_results(arguments, model, results)
    return code


def score_text(model: Model, source: str, arguments: argparse.Namespace) -> EvalResult:
    """Read and score one text.

    Raises:
        CorpusError: If the text is missing or empty, or a named corpus is not available.
        TextFileError: If the text cannot be read, or is not UTF-8.
        TextgenError: If the text cannot be scored. The message starts with its name.
    """
    name = "standard input" if source == STANDARD_INPUT else source
    text = corpus_for(model.metadata, source).text
    if arguments.lowercase:
        text = text.lower()
    before = perf_counter()
    try:
        prediction = predict(model, text, last=arguments.last, unknown=arguments.unknown)
    except TextgenError as error:
        raise type(error)(f"{name}: ", *error.args) from error
    seconds = perf_counter() - before
    return EvalResult(
        name,
        # Its size is proportional to the text, and only the page needs it.
        prediction if arguments.surprise else None,
        prediction.score,
        prediction.skipped,
        seconds,
        compressed_bits(prediction.text),
        arguments.last,
        prediction.unknown,
        prediction.ends,
    )


def write_results(arguments: argparse.Namespace, model: Model, results: Sequence[EvalResult]) -> None:
    """Write the results to standard output, as text or as JSON."""
    # A file name may contain characters that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not arguments.json:
        shown = [*results, combined(results)] if len(results) > 1 else results
        sys.stdout.write("\n".join(line for result in shown for line in result.format_lines()) + "\n")
        return
    document = {
        "model": arguments.model,
        "sha256": model.sha256,
        "engine": model.engine.name,
        "last": arguments.last,
        "unknown": arguments.unknown,
        "lowercase": arguments.lowercase,
        "texts": [result.as_json() for result in results],
        "all": combined(results).as_json(),
    }
    sys.stdout.write(to_json(document, indent=1) + "\n")


def write_page(arguments: argparse.Namespace, results: Sequence[EvalResult]) -> None:
    """Write the page of ``--surprise``.

    Raises:
        OutputError: If the page cannot be written.
    """
    # Imported here because most runs write no page.
    from textgen_runtime.scoring.surprise_page import surprise_page

    shown = [
        (result.name, f"{result.format_counts()}; {format_score(result.score)}", result.prediction)
        for result in results
        if result.prediction
    ]
    page = surprise_page(f"Surprisal with the model {Path(arguments.model).name}", shown)
    write_output(arguments.surprise, page.encode(errors="replace"))
