"""``textgen-embed``: write the C sources that run one model, and the model as a C array."""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from textgen_runtime._version import __version__
from textgen_runtime.embed import (
    MAX_NAME_LENGTH,
    PUBLIC_HEADER,
    amalgamate,
    array_header,
    array_source,
    core_folder,
    is_array_name,
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
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, embed, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Write the C library as one source file with its header, and a model as a C array.\n"
        "The files compile with any C11 compiler, and need only the C library.",
        EXAMPLES,
    )
    command.add_argument("model", **MODEL)
    command.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, required=True, help="folder for the files"
    )
    names = "name of the model in C, for NAME.c, NAME.h, NAME_data and NAME_size (default: model)"
    command.add_argument("--name", metavar="NAME", type=_name, default="model", help=names)
    return command


def embed(arguments: argparse.Namespace) -> int:
    """Write the files; return the exit code."""
    content, _ = read_core_model(arguments.model)
    files = make_files(content, arguments.name)
    folder: Path = arguments.output
    make_folder(folder)
    for name in files:
        check_output("-o", folder / name)
    for name, text in files.items():
        write_output(folder / name, text.encode())
    write_stderr(
        f"wrote {', '.join(files)} to {folder}; compile them with your program: -I{folder} {folder}/*.c\n"
    )
    return 0


def make_files(content: bytes, name: str) -> dict[str, str]:
    """Return the contents of the files by their names.

    Args:
        content: The content of a model file.
        name: The name of the array.
    """
    mark = f"{MARK} {__version__}. */"
    title = f"A model file of {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"
    core = core_folder()
    header = (core / PUBLIC_HEADER).read_text(encoding="utf-8")
    return {
        PUBLIC_HEADER: f"{mark}\n{header}",
        "textgen.c": f"{mark}\n{amalgamate(core)}",
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
