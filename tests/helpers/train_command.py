"""Running ``textgen-train``, with a text and options for a quick run."""

from textgen_train.cli import main

from tests.helpers.commands import Captured, run_here

TEXT = "Do re mi fa sol la si do,\nsi la sol fa mi re do.\n" * 40
QUICK = ("--units", "8", "--embedding", "4", "--epochs", "2")


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, *arguments)
