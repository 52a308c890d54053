"""Running ``textgen-eval`` on the tiny model, and two texts to score."""

from textgen_runtime.cli.eval import main

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY

# Some letters have two bytes, so that bits per byte and bits per character differ.
ONE, OTHER = "é bad cab dad had a bed\n" * 9, "a bead each he had\n" * 5


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, str(TINY), *arguments)
