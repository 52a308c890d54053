"""``textgen-info``: what a model file says of itself."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textgen_runtime.errors import ModelFileError
from textgen_runtime.system.json_text import to_json
from textgen_runtime.text.levels import unit_of
from textgen_runtime.text.normalization import Normalization

from ._description import Description, describe_file
from ._readable import fit, named, one_line, printable
from .command import run_command
from .parser import CommandParser, add_model

PROG = "textgen-info"

INDENT = "  "
# Levels of the provenance that have lines of their own; what is deeper stands in a line.
LEVELS = 4
WIDEST_KEY = 40

EXAMPLES = """\
examples:
  textgen-info nietzsche
  textgen-info model.onnx --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: info(arguments))


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG,
        "Show what a model file says of itself: its size, network, vocabulary, normalization, prompts and\n"
        "training. The model is not run.",
        EXAMPLES,
    )
    add_model(command)
    command.add_argument("--json", action="store_true", help="write it as JSON, the vocabulary as an array")
    return command


def info(arguments: argparse.Namespace) -> int:
    """Write the description of a model file to standard output."""
    description = describe_file(arguments.model)
    # What a file holds, and its name, need not be in the output's encoding.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        text = to_json(description.as_json(), indent=1) if arguments.json else "\n".join(lines(description))
    except RecursionError:
        raise ModelFileError(f"{arguments.model}: its metadata is nested too deep to show") from None
    sys.stdout.write(f"{text}\n")
    return 0


def lines(description: Description) -> Iterator[str]:
    """The description for a person."""
    metadata = description.metadata
    tokenizer = metadata.tokenizer
    yield from pairs(
        {
            "file": str(description.path),
            "size": f"{description.size:,} bytes",
            "sha256": description.sha256,
            "format": str(description.format),
            "level": tokenizer.level,
            "network": network(description),
            "parameters": f"{description.parameters:,}",
            "engine": engine(description),
            "normalization": normalization(metadata.normalization),
        }
    )
    special = "" if tokenizer.unknown is None else ", one of them the unknown symbol"
    yield f"vocabulary, {len(tokenizer):,} {unit_of(tokenizer)}s{special}"
    yield from fit([named(symbol) for symbol in tokenizer.symbols], INDENT)
    yield f"prompts, {len(metadata.prompts):,}"
    yield from (f'{INDENT}"{one_line(prompt)}"' for prompt in metadata.prompts)
    yield "training"
    yield from pairs(metadata.training, INDENT)


def network(description: Description) -> str:
    """Layers and units, for a person; the kind of the layers is known where the graph is."""
    kind = "LSTM units" if description.why_not_native is None else "units"
    return f"{description.layers} x {description.units} {kind}"


def engine(description: Description) -> str:
    """What runs the model, for a person."""
    if description.why_not_native is None:
        return str(description.engine)
    by_itself = description.engine or "none, or onnxruntime with --engine onnxruntime if you trust the file"
    return f"{by_itself}: {one_line(description.why_not_native)}"


def normalization(form: Normalization) -> str:
    """What is done to texts before they are read, for a person."""
    case = "lower case" if form.lowercase else "case kept"
    return f"{case}, Unicode {form.unicode}" if form.unicode else f"{case}, code points kept"


def pairs(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A line for each name and value, aligned; an object inside has its lines below its name."""
    width = max((min(len(printable(name)), WIDEST_KEY) for name in values), default=0)
    for name, value in values.items():
        shown = one_line(name)
        if isinstance(value, dict) and value and len(indent) < LEVELS * len(INDENT):
            yield f"{indent}{shown}"
            yield from pairs(value, indent + INDENT)
        else:
            yield f"{indent}{shown:{width}}  {scalar(value)}"


def scalar(value: object) -> str:
    """A value in one line."""
    return one_line(value if isinstance(value, str) else to_json(value, ascii_only=False))
