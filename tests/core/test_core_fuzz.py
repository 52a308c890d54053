"""The fuzz targets, with their first inputs and some damaged ones. ``make fuzz`` makes many more."""

import random
import subprocess
from pathlib import Path

from benchmarks.mutate_models import mutate
from tests.core.fuzz.seeds import inputs
from tests.helpers.c_programs import PROGRAMS, Build, link
from tests.helpers.paths import ROOT

# The mutator needs libFuzzer.
SOURCES = [
    PROGRAMS / "fuzz" / f"{name}.c"
    for name in ("fuzz", "fuzz_model", "fuzz_stream", "fuzz_table", "protobuf", "replay")
]


def test_inputs_of_the_fuzzer_run_or_are_refused(build: Build, objects: Path) -> None:
    rng = random.Random(5)
    first = list(inputs())
    # The first two bytes select the target and the model.
    damaged = [content[:2] + mutate(content[2:], rng) for content in first for _ in range(5)]
    short = [content[: rng.randrange(len(content))] for content in first for _ in range(2)]
    every = [*first, *damaged, *short]
    done = subprocess.run(
        [str(link(build, objects, *SOURCES))],
        input=b"".join(len(content).to_bytes(4, "little") + content for content in every),
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert done.stdout == b"%d inputs\n" % len(every)
