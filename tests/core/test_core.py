"""The C core: built with warnings as errors, run on its own, and compared with Python."""

import decimal
import hashlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from numpy.random import PCG64, SeedSequence
from packaging.version import Version
from textgen_runtime._version import __version__
from textgen_runtime.cli import info
from textgen_runtime.model_file import Metadata, find_model_file, make_tokenizer
from textgen_runtime.text import RECORD_KINDS, Normalization, RecordKind
from textgen_runtime.tokenizer import BYTE_SYMBOLS, SpecialTokens

from tests.core.conftest import PROMPT
from tests.helpers.c_programs import EMULATOR, PROGRAMS, Build, link, run
from tests.helpers.commands import Captured
from tests.helpers.definitions import definitions
from tests.helpers.make_tiny_model import SYMBOLS, build_model, random_weights
from tests.helpers.paths import FORMAT_2, ROOT, TINY, TINY_INT8
from tests.helpers.record_models import LEVELS, record_content
from tests.helpers.sampler_cases import GOLDEN, GOLDEN_SUBSTREAM_3

FLOAT, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8
SHIPPED = Path(find_model_file("nietzsche"))
SHIPPED_FLOAT32 = Path(find_model_file("nietzsche-float32"))
needs_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="it needs a device that is always full"
)
# Of a saved stream of the tiny model with 8-bit weights.
GOLDEN_SAVED = "ed20bad127a8b677b05a7a70852cc78e3b72b563d8ed51a424ac8a0fa935de06"


def weights_of(symbols: Sequence[str], unknown: int | None = None, *, scale: float = 1.0) -> bytes:
    """A small model file, whose output weights are scaled."""
    *weights, output, bias = random_weights(len(symbols))
    weights += [(np.abs(values) * scale).astype(np.float32) for values in (output, bias)]
    metadata = Metadata(make_tokenizer("character", symbols, SpecialTokens(unknown)), Normalization())
    return build_model(weights, metadata).SerializeToString()


def test_draws_follow_the_definitions_and_the_golden_ones_never_change(build: Build, objects: Path) -> None:
    lines = run(link(build, objects, PROGRAMS / "sampler.c")).splitlines()
    assert [[int(token) for token in line.split()] for line in lines] == [GOLDEN, GOLDEN_SUBSTREAM_3]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of model files, by name."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = make_tokenizer("byte", BYTE_SYMBOLS)
    contents = {
        "other": weights_of(SYMBOLS),
        "unknown": weights_of(["", "a"], unknown=0),
        "broken": weights_of(SYMBOLS, scale=1e38),
        "zero": weights_of(["\0", "a"]),
        "records": record_content("word"),
        "bytes": build_model(random_weights(len(tokenizer)), Metadata(tokenizer)).SerializeToString(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    paths = {"tiny": TINY, "gru": FORMAT_2 / "gru.onnx", "float32": SHIPPED_FLOAT32}
    return {name: str(folder / name) for name in contents} | {name: str(path) for name, path in paths.items()}


@pytest.mark.parametrize(
    "words",
    [
        "endings tiny",
        "endings records",
        "streams tiny unknown broken",
        "spans tiny records",
        # In an emulator, four changes of each byte take a minute.
        f"saved tiny records other {1 if EMULATOR else 4}",
        "threads tiny abc",
    ],
)
def test_a_program_finds_nothing_wrong(
    build: Build, objects: Path, models: dict[str, str], words: str
) -> None:
    name, *arguments = words.split()
    run(link(build, objects, PROGRAMS / f"{name}.c"), *(models.get(word, word) for word in arguments))


@pytest.mark.parametrize("kind", RECORD_KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_streams_start_and_end_records(
    build: Build, objects: Path, tmp_path: Path, level: str, kind: RecordKind
) -> None:
    path = tmp_path / "model"
    path.write_bytes(record_content(level, kind, end_bias=4.0 if level == "byte" else 0.0))
    run(link(build, objects, PROGRAMS / "records.c"), path, kind, level)


@pytest.mark.parametrize(
    ("seed", "substream", "position"),
    [(0, 0, 0), (7, 0, 3), (2**32, 1, 2**40 + 1), (2**64 + 5, 2**32 - 1, 2), (2**128 - 1, 9, 2**63 - 9)],
)
def test_random_numbers_equal_numpys(
    build: Build, objects: Path, seed: int, substream: int, position: int
) -> None:
    numbers = (seed >> 64, seed & (2**64 - 1), substream, position, 8)
    lines = run(link(build, objects, PROGRAMS / "numbers.c"), "random", *map(str, numbers)).splitlines()
    rng = PCG64(SeedSequence(seed, spawn_key=(substream,) if substream else ()))
    expected = [*map(int, rng.random_raw(8))]
    rng.advance(position - 8)
    assert [*map(int, lines)] == [*expected, *map(int, rng.random_raw(8))]


def test_log64_is_exact_to_the_last_place(build: Build, objects: Path) -> None:
    lines = run(link(build, objects, PROGRAMS / "numbers.c"), "logarithms", "20000").splitlines()
    pairs = [[float.fromhex(number) for number in line.split()] for line in lines]
    assert len(pairs) == 20000
    with decimal.localcontext() as context:
        context.prec = 40
        for argument, result in pairs:
            exact = decimal.Decimal(argument).ln()
            assert abs(decimal.Decimal(result) - exact) <= decimal.Decimal(math.ulp(float(exact)))


def test_hashes_equal_hashlibs(build: Build, objects: Path) -> None:
    lines = run(link(build, objects, PROGRAMS / "numbers.c"), "hashes", "200").splitlines()
    assert lines == [hashlib.sha256(bytes(range(size))).hexdigest() for size in range(200)]


def test_another_engine_runs_texts_and_bytes_are_decided_in_whole_characters(
    build: Build, objects: Path, models: dict[str, str]
) -> None:
    tokens = len(textgen.load(models["gru"], engine="onnxruntime").tokenizer)
    paths = (models[name] for name in ("tiny", "bytes", "gru"))
    run(link(build, objects, PROGRAMS / "engine.c"), *paths, str(tokens))


@pytest.mark.parametrize(("path", "layers"), [(TINY, 1), (TINY_INT8, 2)], ids=["float32", "8 bits"])
def test_models_tell_what_they_are(build: Build, objects: Path, path: Path, layers: int) -> None:
    stored = [each for each in onnx.load(path).graph.initializer if not each.name.endswith("_scale")]
    parameters = sum(math.prod(each.dims) for each in stored if each.data_type in (FLOAT, INT8))
    program = link(build, objects, PROGRAMS / "models.c")
    version = run(program, path, str(layers), str(parameters), "abc")
    major, minor, patch = Version(__version__).release
    assert int(version) == major * 10000 + minor * 100 + patch


def test_the_bundled_model_fits_in_the_memory_that_it_states(build: Build, objects: Path) -> None:
    run(link(build, objects, PROGRAMS / "models.c"), SHIPPED_FLOAT32, "", "", PROMPT)


def test_samplings_are_checked(build: Build, objects: Path, models: dict[str, str]) -> None:
    paths = (models[name] for name in ("tiny", "unknown", "records"))
    lines = run(link(build, objects, PROGRAMS / "sampling.c"), *paths).splitlines()
    parameters = [each for each in definitions.read_definition() if each.in_core]
    assert lines == [f"{each.name}: {each.requirement}" for each in parameters]


def test_texts_match_the_table_of_a_constraint(
    build: Build, objects: Path, tmp_path: Path, capsys: Captured
) -> None:
    expression = "(ab|cd)(e{2,3}|é€){3,}h?[a-d]*"
    assert info.main([str(TINY), "--match", expression]) == 0
    (tmp_path / "table").write_text(capsys.readouterr().out, encoding="utf-8")
    program = link(build, objects, PROGRAMS / "tables.c")
    texts = run(program, TINY, tmp_path / "table", "100").splitlines()
    assert len(texts) == 100
    assert len(set(texts)) > 10
    assert all(re.fullmatch(expression, text) for text in texts)


# With 8-bit weights, the state does not depend on the instruction set.
def test_the_bytes_of_saved_streams_never_change(build: Build, objects: Path) -> None:
    program = link(build, objects, PROGRAMS / "saved.c")
    data = subprocess.run([program, TINY_INT8], capture_output=True, check=True).stdout
    assert hashlib.sha256(data).hexdigest() == GOLDEN_SAVED


@pytest.mark.parametrize("place", [None, 60], ids=["absent", "present"])
def test_the_example_of_streams_writes_what_the_command_writes(
    build: Build, objects: Path, place: int | None
) -> None:
    text = textgen.load("nietzsche").generate(PROMPT, length=400, seed=0)
    # It begins in one chunk of eight characters and ends in the next.
    stop = "never, never" if place is None else text[place : place + 8]
    assert stop not in text[:place]
    program = link(build, objects, ROOT / "examples" / "stream.c")
    options = ["--prompt", PROMPT, "--seed", "0", "--length", "400", "--stop", stop, "--no-echo"]
    command = [str(Path(sys.executable).parent / "textgen-run"), "nietzsche", *options]
    written = run(program, SHIPPED, PROMPT, stop)
    assert written == subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_the_readme_compiles_and_runs_the_example(
    tmp_path: Path, quick_compiler: Path, bundled_text: str
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^cc( .*\n\./generate .*)$", readme, re.MULTILINE)
    script = f"{quick_compiler}{lines}".replace("-o generate", f"-o {tmp_path}/generate").replace(
        "./generate", f"{tmp_path}/generate"
    )
    written = subprocess.run(script, shell=True, cwd=ROOT, capture_output=True, check=True)  # noqa: S602
    assert written.stdout.decode().startswith(PROMPT + bundled_text)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["absent.onnx", "a"],
        [__file__, "a"],
        *([TINY, prompt] for prompt in ("", "abx")),
        *([TINY, "abc", temperature] for temperature in ("", "hot", "nan")),
        *([TINY, "abc", "1", seed] for seed in ("", "-1")),
        *([TINY, "abc", "1", "1", length] for length in ("0", "9" * 20)),
        pytest.param([TINY, "abc"], marks=needs_full),
    ],
)
def test_the_example_says_what_is_wrong(build: Build, objects: Path, arguments: list[str | Path]) -> None:
    program = link(build, objects, ROOT / "examples" / "generate.c")
    with Path("/dev/full" if arguments == [TINY, "abc"] else os.devnull).open("wb") as output:
        finished = subprocess.run([program, *arguments], stdout=output, stderr=subprocess.PIPE, check=False)
    (line,) = finished.stderr.decode().splitlines()
    assert (finished.returncode, line.partition(": ")[0]) == (1, "generate")


# A vocabulary may hold a character that ends C's texts.
def test_the_example_writes_a_zero_byte(build: Build, objects: Path, models: dict[str, str]) -> None:
    program = link(build, objects, ROOT / "examples" / "generate.c")
    written = run(program, models["zero"], "a", "1", "1", "50")
    assert len(written) == len("a") + 50 + len("\n")
    assert "\0" in written


def test_the_example_writes_the_record_that_the_command_writes(
    build: Build, objects: Path, models: dict[str, str]
) -> None:
    program, path = link(build, objects, ROOT / "examples" / "generate.c"), models["records"]
    command = [str(Path(sys.executable).parent / "textgen-run"), path, "--temp", "1", "--seed", "3"]
    written = run(program, path, "", "1", "3")
    assert len(written) > 1
    assert written == subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_the_example_is_short() -> None:
    assert len((ROOT / "examples" / "generate.c").read_text().splitlines()) <= 40
