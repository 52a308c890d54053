"""Running ``textgen-run`` on the tiny model, and what it should write."""

import textgen_runtime as textgen
from textgen_runtime.cli.run import main

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY

CASE_UNCHANGED = '{"lowercase": false, "unicode": "NFC"}'


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, str(TINY), *arguments)


def lines(count: int, prompt: str = "a\n") -> list[str]:
    """Generate lines one after another, each with its substream."""
    model = textgen.load(TINY)
    return [
        model.start(prompt, seed=5, substream=i, temperature=1.0, stop="\n").take(400, finish=True)
        for i in range(count)
    ]


def tiny_with(key: str, value: str) -> bytes:
    """Return the content of the model with another value of its metadata."""
    model = make_model()
    next(entry for entry in model.metadata_props if entry.key == key).value = value
    return model.SerializeToString()
