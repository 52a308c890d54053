"""``textgen-embed``: write the C sources that run a model or learn one, and a model as a C array."""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from textgen_runtime._version import __version__
from textgen_runtime.embed import (
    MAX_NAME_LENGTH,
    amalgamate,
    array_header,
    array_source,
    is_array_name,
    source_folders,
)
from textgen_runtime.errors import quote
from textgen_runtime.files import make_folder
from textgen_runtime.terminal import write_stderr

from ._output_files import check_output, write_output
from .command import run_command
from .parser import MODEL, CommandParser, read_core_model

PROG = "textgen-embed"

MARK = f"/* Written by {PROG}"

EXAMPLES = """\
examples:
  textgen-embed nietzsche -o generator
  textgen-embed model.onnx -o src --name poems
  cc -O2 main.c generator/*.c -o main
  textgen-embed --trainer -o learner
  cc -O2 main.c learner/*.c -lm -pthread -o main
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    command = parser()
    arguments = command.parse_args(argv)
    if not arguments.model and not arguments.trainer:
        command.error("MODEL or --trainer is required")
    return run_command(PROG, embed, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Write the C library as one source file with its header, and a model as a C array.\n"
        "The files compile with any C11 compiler, and need only the C library.",
        EXAMPLES,
    )
    command.add_argument("model", nargs="?", **MODEL)
    command.add_argument(
        "--trainer",
        action="store_true",
        help="write the trainer, too, which needs threads and libm; the model may be omitted then",
    )
    command.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, required=True, help="folder for the files"
    )
    names = "name of the model in C, for NAME.c, NAME.h, NAME_data and NAME_size (default: model)"
    command.add_argument("--name", metavar="NAME", type=_name, default="model", help=names)
    return command


def embed(arguments: argparse.Namespace) -> int:
    """Write the files; return the exit code."""
    files = amalgamate(source_folders(trainer=arguments.trainer))
    files = {name: f"{MARK} {__version__}. */\n{text}" for name, text in files.items()}
    if arguments.model:
        files |= model_files(read_core_model(arguments.model)[0], arguments.name)
    folder: Path = arguments.output
    make_folder(folder)
    for name in files:
        check_output("-o", folder / name)
    for name, text in files.items():
        write_output(folder / name, text.encode())
    write_stderr(
        f"wrote {', '.join(files)} to {folder}; compile them with your program: -I{folder} {folder}/*.c"
        f"{' -lm -pthread' * arguments.trainer}\n"
    )
    return 0


def model_files(content: bytes, name: str) -> dict[str, str]:
    """Return the source and the header of a model by their names.

    Args:
        content: The content of a model file.
        name: The name of the array.
    """
    mark = f"{MARK} {__version__}. */"
    title = f"A model file of {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"
    return {
        f"{name}.h": array_header(name, title, mark),
        f"{name}.c": array_source(name, title, mark, content),
    }


def _name(text: str) -> str:
    if not is_array_name(text):
        raise argparse.ArgumentTypeError(
            f"must be 1 to {MAX_NAME_LENGTH} letters, digits and underscores, begin with a letter, not begin "
            f"with textgen, and not be the name of a system header such as math.h, not {quote(text)}"
        )
    return text
