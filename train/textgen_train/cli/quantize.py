"""``textgen-quantize``: convert a model file to 8-bit weights."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.cli.command import run_command
from textgen_runtime.cli.parser import MODEL, SHARE, UNKNOWN, CommandParser
from textgen_runtime.corpus import CORPUS_NAMES, corpus_for
from textgen_runtime.errors import OutputError, shorten
from textgen_runtime.files import check_writable, replace_file
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.model_file import find_model_file, unambiguous_path
from textgen_runtime.terminal import print_diagnostic

from ._process import check_packages

if TYPE_CHECKING:
    from textgen_train.export.quantizer import Quantized

PROG = "textgen-quantize"

EXAMPLES = """\
examples:
  textgen-quantize model.onnx -o small.onnx
  textgen-quantize my-novel-model -o small.onnx --text my-novel.txt --last 0.1
"""

# The options that change the text.
TEXT_OPTIONS = ("last", "unknown", "lowercase")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-train``."""
    command = parser()
    arguments = command.parse_args(argv)
    if arguments.text is None:
        for name in TEXT_OPTIONS:
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
        help="text on which both models are scored; the losses are stored in the file; TEXT is a UTF-8 file, "
        "a folder with .txt or .abc files, - for standard input, or the name of a corpus: "
        f"{', '.join(CORPUS_NAMES)} (default: a text that the model generates, whose losses are not stored)",
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
    check_packages(PROG, ("onnx",))
    # These modules import onnx.
    from textgen_train.export.quantizer import compare, read_quantized, refuse_input

    refuse_input(arguments.output, Path(find_model_file(arguments.model)))
    if arguments.output.exists() and not arguments.overwrite:
        raise OutputError(
            f"{shorten(str(arguments.output))} exists: choose another file with -o, or pass --overwrite"
        )
    check_writable(arguments.output)
    models = read_quantized(arguments.model)
    name, text = "", None
    if arguments.text is not None:
        corpus = corpus_for(models.float32.metadata, arguments.text)
        for file in corpus.files:
            refuse_input(arguments.output, file)
        name, text = corpus.name, corpus.text
        if arguments.lowercase:
            text = text.lower()
    quantized = compare(models, text, name=name, last=arguments.last, unknown=arguments.unknown)
    with DeferredInterrupts():
        replace_file(arguments.output, quantized.content)
    if quantized.warning:
        print_diagnostic(PROG, quantized.warning, "warning")
    # A file may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(describe_result(arguments.output, quantized))
    return 0


def describe_result(path: Path, quantized: "Quantized") -> str:
    """Return the size of the file, and both losses or their difference."""
    scores = quantized.quantization
    if scores.loss is None or scores.float32_loss is None:
        losses = (
            f"no text was scored (--text); on {quantized.characters:,} characters that the model generated, "
            f"the loss changes by {quantized.increase:+z.4f} nats per character"
        )
    else:
        losses = (
            f"{scores.loss:.4f} nats per character, {scores.float32_loss:.4f} with float32 weights "
            f"({quantized.increase:+z.4f}), on {quantized.characters:,} "
            f"character{'s' * (quantized.characters != 1)}"
        )
    return (
        f"wrote {path}: {quantized.size}\n{losses}\n"
        f"next: textgen-run {shlex.quote(unambiguous_path(path))} --temp 0.5\n"
    )
