"""The fuzz targets, with their first inputs and some damaged ones. ``make fuzz`` makes many more."""

import random
import subprocess
from collections.abc import Sequence

from benchmarks.mutate_models import mutate
from tests.core.fuzz.seeds import MODEL, inputs
from tests.helpers.c_programs import PROGRAMS, WINDOWS_MAIN, Build
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import ROOT
from tests.train.core.trainer import program

# The mutator needs libFuzzer.
SOURCES = [
    PROGRAMS / "fuzz" / f"{name}.c"
    for name in ("fuzz", "fuzz_model", "fuzz_stream", "fuzz_table", "fuzz_trainer", "protobuf", "replay")
]


def replay(build: Build, contents: Sequence[bytes]) -> None:
    """Run the targets with these inputs."""
    done = subprocess.run(
        [str(program(*SOURCES, *(WINDOWS_MAIN if build.is_windows else ()), build=build))],
        input=b"".join(len(content).to_bytes(4, "little") + content for content in contents),
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert done.stdout == b"%d inputs\n" % len(contents)


def test_inputs_of_the_fuzzer_run_or_are_refused(build: Build) -> None:
    rng = random.Random(5)
    first = list(inputs())
    # The first two bytes select the target and the model.
    damaged = [content[:2] + mutate(content[2:], rng) for content in first for _ in range(5)]
    short = [content[: rng.randrange(len(content))] for content in first for _ in range(2)]
    replay(build, [*first, *damaged, *short])


def test_the_memory_of_a_model_is_in_proportion_to_its_file(build: Build) -> None:
    """The core pads a unit to many. Without its limit, this file would need more than the target permits."""
    model = make_model("ab", units=1, embedding=600_000)
    replay(build, [bytes([MODEL, 0]) + model.SerializeToString()])
