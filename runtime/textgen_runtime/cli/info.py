"""``textgen-info``: show the contents of a model file."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from textgen_runtime.constraints.table import describe_table
from textgen_runtime.errors import ModelFileError
from textgen_runtime.generation.controls import compile_controls
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import describe_size
from textgen_runtime.model_file.recipe_names import stored_option_name
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.json_text import to_json
from textgen_runtime.text.levels import describe_vocabulary, unit_of
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.tokenizer import Tokenizer

from ._description import Description, describe_file
from ._readable import escape_unprintable, single_line, visible_name, wrap_words
from ._sampling_options import add_constraint, constraint_options
from .command import run_command
from .parser import CommandParser, add_model

if TYPE_CHECKING:
    from textgen_runtime.sampling.automata import Constraint

PROG = "textgen-info"

INDENT = "  "
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
    return run_command(PROG, lambda: info(arguments))


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Show the contents of a model file: size, SHA-256, network, parameters, engine,\n"
        "vocabulary, normalization, prompts and training. The model is not run.",
        EXAMPLES,
    )
    add_model(command)
    command.add_argument("--json", action="store_true", help="print the description as JSON")
    add_constraint(
        command.add_argument_group("tables of constraints, as JSON for programs in other languages"),
        "print the table of",
    )
    return command


def info(arguments: argparse.Namespace) -> int:
    """Write the description of a model file to standard output; return the exit code."""
    description = describe_file(arguments.model)
    if options := constraint_options(arguments):
        sys.stdout.write(f"{to_json(constraint_table(options, description.metadata))}\n")
        return 0
    # The file and its name may contain characters that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        text = (
            to_json(description.as_json(), indent=1)
            if arguments.json
            else "\n".join(format_lines(description))
        )
    except RecursionError:
        raise ModelFileError(f"{arguments.model}: the metadata is nested too deeply to print") from None
    sys.stdout.write(f"{text}\n")
    return 0


def constraint_table(options: Mapping[str, Any], metadata: Metadata) -> dict[str, Any]:
    """Return the table of a constraint for the vocabulary of a model, as JSON values."""
    # One of the options is a constraint, so it is not None.
    constraint = cast("Constraint", compile_controls(Sampling(**options), metadata).constraint)
    return describe_table(constraint, metadata.tokenizer.symbols)


def format_lines(description: Description) -> Iterator[str]:
    """Yield the description as lines of text."""
    metadata = description.metadata
    tokenizer = metadata.tokenizer
    yield from format_pairs(
        {
            "file": str(description.path),
            "size": f"{description.size:,} bytes",
            "sha256": description.sha256,
            "format": str(description.format),
            "level": tokenizer.level,
            **({"records": metadata.records} if metadata.records else {}),
            "network": format_network(description),
            "parameters": f"{description.parameters:,}",
            "weights": "float32" if metadata.quantization is None else f"{metadata.quantization.bits} bits",
            "engine": format_engine(description),
            "normalization": format_normalization(metadata.normalization),
        }
    )
    yield f"vocabulary, {format_vocabulary(tokenizer)}"
    yield from wrap_words(visible_symbols(tokenizer), INDENT)
    yield f"prompts, {len(metadata.prompts):,}"
    yield from (f'{INDENT}"{single_line(prompt)}"' for prompt in metadata.prompts)
    if metadata.quantization is not None:
        yield "quantization"
        yield from format_pairs(metadata.quantization.as_json(), INDENT)
    yield "training"
    yield from format_pairs(with_recipe_options(metadata.training), INDENT)


def with_recipe_options(training: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the provenance with the hyperparameters under the names that their options have."""
    recipe = training.get("recipe")
    if not isinstance(recipe, dict):
        return training
    return {**training, "recipe": {stored_option_name(name): value for name, value in recipe.items()}}


def visible_symbols(tokenizer: Tokenizer) -> list[str]:
    """Return a visible name for each token of a vocabulary."""
    special = {token: f"<{name}>" for name, token in tokenizer.special.by_name.items()}
    return [special.get(token) or visible_name(symbol) for token, symbol in enumerate(tokenizer.symbols)]


def format_vocabulary(tokenizer: Tokenizer) -> str:
    """Return the size of a vocabulary, and the names of its special tokens."""
    names = tokenizer.special.by_name
    size = describe_vocabulary(len(tokenizer), unit_of(tokenizer), len(names))
    return f"{size}: {', '.join(names)}" if names else size


def format_network(description: Description) -> str:
    """Return the layers and units. Their type is known only if the native engine runs the graph."""
    return describe_size(
        description.cell, description.layers, description.units, residual=description.residual
    )


def format_engine(description: Description) -> str:
    """Return the engine that runs the model, with the reason if it is not the native one."""
    if description.why_not_native is None:
        return str(description.engine)
    return f"onnxruntime only, if you trust the file; {single_line(description.why_not_native)}"


def format_normalization(form: Normalization) -> str:
    """Return the normalization of prompts and texts in words."""
    case = "lower case" if form.lowercase else "case unchanged"
    return f"{case}, Unicode {form.unicode}" if form.unicode else f"{case}, code points unchanged"


def format_pairs(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield an aligned line per name and value. The lines of a nested object follow its name."""
    width = max((min(len(escape_unprintable(name)), MAX_KEY_WIDTH) for name in values), default=0)
    for name, value in values.items():
        shown = single_line(name)
        if isinstance(value, dict) and value and len(indent) < MAX_NESTED_LEVELS * len(INDENT):
            yield f"{indent}{shown}"
            yield from format_pairs(value, indent + INDENT)
        else:
            yield f"{indent}{shown:{width}}  {format_value(value)}"


def format_value(value: object) -> str:
    """Return a value in one line. A fraction has six significant digits; ``--json`` prints all."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return single_line(value if isinstance(value, str) else to_json(value, ascii_only=False))
