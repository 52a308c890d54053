"""Run commands that pages of the documentation show, and write their outputs into the pages.

    python docs/write_outputs.py

A command and its output are two blocks of code that follow each other. Run the script after a change of the
bundled models.
"""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
PAGES = ("../README.md", "gallery.md", "generating.md")

# A command that writes to standard output, and what it wrote.
SHOWN = re.compile(r"^```sh\n(textgen-[^\n]*)\n```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)

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


def main() -> None:
    """Write the pages."""
    for name in PAGES:
        page = HERE / name
        page.write_text(with_outputs(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
