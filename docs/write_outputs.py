"""Write outputs of commands, and values of the code, into the pages of the documentation.

    python docs/write_outputs.py

A command and its output are two blocks of code that follow each other. A comment after a value says where it
comes from: ``400<!--textgen_runtime.model.DEFAULT_LENGTH-->`` is a name of Python, to which a colon and a
format may be added, and ``constant:NAME`` a number of the trainer in C. A table stands between two comments,
the name of its function and ``end``. So each page is complete on a code host, too. Run the script after a
change of a value or of the bundled models.
"""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import textgen_runtime
import textgen_train
from textgen_runtime.json_text import to_json
from textgen_train.config import PRESETS, Config

HERE = Path(__file__).parent
PAGES = ("../README.md", "gallery.md", "generating.md")

# A command that writes to standard output, and what it wrote.
SHOWN = re.compile(r"^```sh\n(textgen-[^\n]*)\n```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)

VALUE = re.compile(r"[\d.,%e-]+<!--([\w.]+)(?::(\S+?))?-->")
TABLE = re.compile(r"<!--(\w+)-->\n.*?\n<!--end-->", re.DOTALL)

TRAINER = HERE.parent / "train/core"

# Longer lines of an output are wrapped.
COLUMNS = 105
# Of the terminal, for commands that depend on it.
TERMINAL = "80"


def output(command: str) -> str:
    """Run a command of the project, and return its output as a page shows it."""
    program, *arguments = shlex.split(command)
    done = subprocess.run(  # noqa: S603 (the commands of the pages)
        [Path(sys.executable).parent / program, *arguments],
        env=os.environ | {"COLUMNS": TERMINAL, "PYTHONIOENCODING": "utf-8"},
        check=True,
        # A message of a command that fails is shown.
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return "".join(f"{part}\n" for line in done.stdout.splitlines() for part in wrapped(line.rstrip()))


def wrapped(line: str) -> list[str]:
    """Return a line, or its parts if it is long."""
    return textwrap.wrap(line, COLUMNS, break_on_hyphens=False) if len(line) > COLUMNS else [line]


def with_outputs(text: str) -> str:
    """Return the text of a page with the present outputs of its commands."""
    return SHOWN.sub(lambda found: f"```sh\n{found[1]}\n```\n\n```text\n{output(found[1])}```", text)


def table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown, whose first row is the heading."""
    heading, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, "|---" * len(rows[0]) + "|", *others])


def preset_sizes() -> str:
    """Return the table of the networks of the presets, for the vocabulary of ``nietzsche``."""
    symbols = textgen_runtime.load("nietzsche").tokenizer.symbols
    text = "".join(symbols).encode() * 4
    corpus = textgen_train.Corpus(text, "", vocabulary=to_json([*symbols], ascii_only=False))
    rows = [("`--preset`", "layers", f"parameters, with {len(symbols)} symbols", "`model.onnx`")]
    for name in PRESETS:
        recipe = Config("nietzsche", preset=name).choose_recipe()
        parameters = textgen_train.Trainer(corpus, recipe, 0, 1).parameters
        size = f"{recipe['layers']} of {recipe['units']} units"
        rows.append((f"`{name}`", size, f"{parameters:,}", f"{4 * parameters / 1e6:.1f} MB"))
    return table(*rows)


def value(name: str, argument: str) -> str:
    """Return a value with a format, or a constant of the trainer in C.

    Raises:
        AttributeError, ImportError: If there is no such name.
    """
    if name != "constant":
        return format(resolve_name(name), argument or "")
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(TRAINER.glob("*.c")))
    found = re.search(rf"\b{argument}\b[ =]+([\d.]+)", text)
    if found is None:
        raise AttributeError(f"{TRAINER} has no number {argument}")
    return f"{float(found[1]):,.0f}"


def parameters() -> str:
    """Return the table of the sampling parameters."""
    sys.path.insert(0, str(HERE.parent / "runtime"))
    definitions = import_module("definitions")
    return str(definitions.table(definitions.read_definition()))


TABLES = {"parameters": parameters, "preset_sizes": preset_sizes}


def with_values(text: str) -> str:
    """Return the text of a page with the present values."""
    text = VALUE.sub(lambda found: f"{value(found[1], found[2])}{found[0][found[0].index('<') :]}", text)
    return TABLE.sub(lambda found: f"<!--{found[1]}-->\n{TABLES[found[1]]()}\n<!--end-->", text)


def main() -> None:
    """Write the pages."""
    for page in [*map(HERE.joinpath, PAGES), *HERE.glob("*.md")]:
        page.write_text(with_values(page.read_text(encoding="utf-8")), encoding="utf-8")
    for page in map(HERE.joinpath, PAGES):
        page.write_text(with_outputs(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
