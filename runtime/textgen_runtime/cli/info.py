"""``textgen-info``: show the contents of a model file."""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

from textgen_runtime._core import PARAMETERS, CoreModel
from textgen_runtime.controls import compile_controls
from textgen_runtime.errors import ModelFileError, UnknownGraphError
from textgen_runtime.json_text import from_json, to_json
from textgen_runtime.model_file import (
    FORMAT_KEY,
    Metadata,
    find_model_file,
    name_source,
    open_metadata,
    read_model,
)
from textgen_runtime.sampling import CONSTRAINTS, Sampling
from textgen_runtime.terminal import escape_unprintable, single_line
from textgen_runtime.tokenizer import describe_vocabulary, symbol_name, unit_of

from .command import run_command
from .options import add_parameter, given_parameters
from .parser import MODEL, CommandParser

if TYPE_CHECKING:
    from textgen_runtime._core import Constraint

PROG = "textgen-info"

INDENT = "  "
LINE_WIDTH = 100
# Objects nested deeper than this are printed as JSON in one line.
MAX_NESTED_LEVELS = 4
MAX_KEY_WIDTH = 40

EXAMPLES = """\
examples:
  textgen-info nietzsche
  textgen-info model.onnx --json
  textgen-info nietzsche --match "it is( [a-z]+){1,8}" > table.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, info, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Show the contents of a model file: size, SHA-256, network, parameters, engine,\n"
        "vocabulary, normalization, prompts and training. The model is not run.",
        EXAMPLES,
    )
    command.add_argument("model", **MODEL)
    command.add_argument("--json", action="store_true", help="print the description as JSON")
    tables = command.add_argument_group("tables of constraints, for programs in JavaScript")
    for name, constraint in zip(
        CONSTRAINTS, ("this expression", "these texts", "this JSON schema"), strict=True
    ):
        add_parameter(tables, PARAMETERS[name], f"print the table of {constraint} as JSON")
    return command


def info(arguments: argparse.Namespace) -> int:
    """Write the description of a model file to standard output; return the exit code."""
    document, metadata = describe_file(arguments.model)
    if options := given_parameters(arguments, CONSTRAINTS):
        sys.stdout.write(f"{to_json(constraint_table(options, metadata))}\n")
        return 0
    # The file and its name may contain characters that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        text = to_json(document, indent=1) if arguments.json else "\n".join(format_lines(document, metadata))
    except RecursionError:
        raise ModelFileError(f"{arguments.model}: the metadata is nested too deeply to print") from None
    sys.stdout.write(f"{text}\n")
    return 0


def describe_file(model: str) -> tuple[dict[str, Any], Metadata]:
    """Return the description of a model file as JSON values, and its metadata.

    The graph is checked but not run. If the native engine cannot run it, the cell is None, and the number of
    layers is inferred from the shapes of the state arrays.

    Args:
        model: The path of a model file or of its folder, or the name of a bundled model.

    Raises:
        ModelFileError: If the file cannot be read, is damaged, or is not a text generator.
    """
    content = read_model(model)
    try:
        try:
            # Like ``load``, this rejects damaged weights.
            core, reason = CoreModel(content), None
        except UnknownGraphError as error:
            core, reason = open_metadata(content), str(error)
        metadata = Metadata.read(core)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: ", *error.args) from error
    layers, units, _, residual = core.size
    tokenizer, quantization = metadata.tokenizer, metadata.quantization
    document = {
        "path": str(Path(find_model_file(model))),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": from_json(core.metadata(FORMAT_KEY) or "null"),
        "level": tokenizer.level,
        "cell": "lstm" if layers else None,
        "residual": residual,
        "layers": layers or None,
        "units": units or None,
        "parameters": core.parameters,
        "engine": "native" if reason is None else None,
        "why_not_native": reason,
        "vocabulary": list(tokenizer.symbols),
        "special": tokenizer.special.by_name,
        "normalization": metadata.normalization._asdict(),
        "records": metadata.records,
        "quantization": quantization and quantization.as_json(),
        "prompts": list(metadata.prompts),
        "training": dict(metadata.training),
    }
    return document, metadata


def constraint_table(options: Mapping[str, Any], metadata: Metadata) -> dict[str, Any]:
    """Return the table of a constraint for the vocabulary of a model, as JSON values."""
    # One of the options is a constraint, so it is not None.
    constraint = cast("Constraint", compile_controls(Sampling(**options), metadata).constraint)
    return describe_table(constraint, metadata.tokenizer.symbols)


def describe_table(constraint: "Constraint", symbols: Sequence[str]) -> dict[str, Any]:
    """Return the table of a constraint as values that JSON can store.

    Args:
        constraint: The constraint.
        symbols: The symbol of each token, from the vocabulary for which the constraint was compiled.

    Returns:
        ``"states"``: for each state, whether a text may end there (``"accepting"``), and the state after each
        allowed symbol (``"next"``). A text starts in state 0.
    """
    transitions = memoryview(constraint.transitions).cast("h")
    size = constraint.vocabulary_size
    return {
        "states": [
            {
                "accepting": bool(accepting),
                "next": {
                    symbol: following
                    for symbol, following in zip(symbols, transitions[start : start + size], strict=True)
                    if following >= 0
                },
            }
            for start, accepting in zip(count(step=size), constraint.accepting, strict=False)
        ]
    }


def format_lines(document: Mapping[str, Any], metadata: Metadata) -> Iterator[str]:
    """Yield the description as lines of text."""
    tokenizer = metadata.tokenizer
    special = {token: name for name, token in tokenizer.special.by_name.items()}
    names = [
        f"<{special[token]}>" if token in special else symbol_name(symbol)
        for token, symbol in enumerate(tokenizer.symbols)
    ]
    lists = ("vocabulary", "prompts")
    yield from format_pairs({name: value for name, value in document.items() if name not in lists})
    yield f"vocabulary, {describe_vocabulary(len(tokenizer), unit_of(tokenizer), len(special))}"
    yield from wrap(
        " ".join(names),
        LINE_WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield f"prompts, {len(metadata.prompts):,}"
    yield from (f'{INDENT}"{single_line(prompt)}"' for prompt in metadata.prompts)


def format_pairs(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield an aligned line per name and value.

    The lines of a nested object follow its name. Names without a value have no line.
    """
    values = {name: value for name, value in values.items() if value not in (None, {})}
    width = max((min(len(escape_unprintable(name)), MAX_KEY_WIDTH) for name in values), default=0)
    for name, value in values.items():
        shown = single_line(name)
        if isinstance(value, dict) and len(indent) < MAX_NESTED_LEVELS * len(INDENT):
            yield f"{indent}{shown}"
            yield from format_pairs(value, indent + INDENT)
        else:
            yield f"{indent}{shown:{width}}  {format_value(value)}"


def format_value(value: object) -> str:
    """Return a value in one line. A fraction has six significant digits; ``--json`` prints all."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return single_line(value if isinstance(value, str) else to_json(value, ascii_only=False))
