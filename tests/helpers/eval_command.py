"""Runs ``textgen-eval`` on the tiny model, and holds the texts that it scores."""

from textgen_runtime.cli.eval import main

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY

# Not only in letters of a byte each, so that bits a byte and a character differ.
ONE, OTHER = "é bad cab dad had a bed\n" * 9, "a bead each he had\n" * 5


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command here; its exit code, standard output and standard error."""
    return run_here(main, capsys, str(TINY), *arguments)
