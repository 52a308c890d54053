"""The C core runs networks of LSTMs with the same results everywhere, and rejects damaged weights."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import numpy_helper
from textgen_runtime._core import kernel_names

from tests.core.conftest import TEXT_PROGRAM
from tests.helpers.c_programs import CORE, EMULATOR, EXACT, PROGRAMS, WARNINGS, Build, link, run
from tests.helpers.core_reader import DAMAGED_MODEL, TOO_LARGE, refusal, run_all
from tests.helpers.damaged_models import DAMAGED_INT8, Damage, set_array, set_values, tensor
from tests.helpers.int8_models import make_int8_model
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.paths import TINY_INT8, TINY_INT8_TEXT

# Sizes that are no multiples of those of vectors.
INT8 = {"residual": True, "units": 37, "embedding": 19, "scale": 0.3}
# Hashes of the logits and the states of random networks, with and without fused multiply-adds.
GOLDEN: dict[str, tuple[onnx.ModelProto, str, str]] = {
    "wide": (make_model(units=144, embedding=64, scale=0.5), "e9801a077488eed1", "0c070978aa7dd48c"),
    "deep": (
        make_model(layers=3, residual=True, units=40, embedding=20, scale=0.2),
        "a44ddcc2caf1139f",
        "dcc29873b71f3bd4",
    ),
    "8 bits": (make_int8_model(layers=1, **INT8), "8d43c687d243407a", "8d43c687d243407a"),
    "8 bits, deep": (make_int8_model(layers=3, **INT8), "2a8e93255511f69c", "2a8e93255511f69c"),
}


def hashes(program: Path, model: onnx.ModelProto, folder: Path) -> dict[str, str]:
    """Return the hash of each instruction set."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return dict(line.split() for line in run(program, folder / "model.onnx").splitlines())


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_results_are_the_same_to_the_last_bit(build: Build, objects: Path, name: str, tmp_path: Path) -> None:
    model, fused, unfused = GOLDEN[name]
    found = hashes(link(build, objects, PROGRAMS / "exact.c"), model, tmp_path)
    assert found.pop("baseline") == (fused if build.has_fused_vectors else unfused)
    assert set(found.values()) <= {fused}


@pytest.mark.parametrize("layer", range(3))
def test_the_two_biases_of_a_layer_are_added(build: Build, objects: Path, layer: int, tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(GOLDEN["deep"][0].SerializeToString())
    bias = numpy_helper.to_array(tensor(model, f"bias_{layer}"))
    set_values(f"bias_{layer}", np.roll(bias, bias.size // 2))(model)
    found = hashes(link(build, objects, PROGRAMS / "exact.c"), model, tmp_path)
    assert set(found.values()) <= set(GOLDEN["deep"][1:])


def test_results_are_the_same_without_a_table_of_the_first_layer(
    build: Build, objects: Path, tmp_path: Path
) -> None:
    """The first layer multiplies its weights by the embedding in each step."""
    # Another test may be linking a program there.
    others = shutil.copytree(objects, tmp_path / "objects", ignore=shutil.ignore_patterns("*.new", "*.gcda"))
    flags = [*WARNINGS, "-DTEXTGEN_MAX_TABLE_BYTES=0"]
    run(*build.command, *flags, "-c", CORE / "pack.c", "-o", others / "pack.o")
    program = link(build, others, PROGRAMS / "exact.c")
    for name in ("8 bits", "8 bits, deep"):
        assert set(hashes(program, GOLDEN[name][0], tmp_path).values()) == {GOLDEN[name][1]}
    (tmp_path / "deep").write_bytes(GOLDEN["deep"][0].SerializeToString())
    path, words = tmp_path / "deep", ["prompt", "é€ж𝄞abc", "length", "300", "seed", "5", "temperature", "1"]
    first, second = (run(link(build, each, TEXT_PROGRAM), path, *words) for each in (others, objects))
    assert first == second


@pytest.mark.parametrize("name", ["embedding", "bias_1"])
def test_sums_of_weights_that_overflow_are_damage(core_reader: Path, name: str) -> None:
    """The embedding is multiplied by weights, and an LSTM has two biases."""
    model = make_model(layers=3, residual=True)
    values = np.full_like(numpy_helper.to_array(tensor(model, name)), 3e38)
    set_values(name, values)(model)
    assert refusal(core_reader, model.SerializeToString())[0] == DAMAGED_MODEL


@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_the_golden_text_is_the_same_everywhere(build: Build, objects: Path) -> None:
    program = link(build, objects, TEXT_PROGRAM)
    words = ["prompt", "abc", "length", "400", "seed", "7", "temperature", "1"]
    text = TINY_INT8_TEXT.read_bytes().decode()
    assert run(program, TINY_INT8, *words) == f"1\n{text}"
    only_baseline = EMULATOR or build.variant in ("plain C", "32 bits")
    for kernels in ["baseline"] if only_baseline else kernel_names():
        assert run(program, TINY_INT8, *words, "kernels", kernels) == f"1\n{text}", kernels


def test_python_generates_the_golden_text() -> None:
    text = TINY_INT8_TEXT.read_bytes().decode()
    assert textgen.load(TINY_INT8).start("abc", temperature=1.0, seed=7).take(400) == text


def change(name: str, index: int | tuple[int | slice, ...], values: float | list[int]) -> Damage:
    """Return a change of some values of a tensor: a scale, or neighboring 8-bit weights."""

    def damage(model: onnx.ModelProto) -> None:
        array = numpy_helper.to_array(tensor(model, name)).copy()
        array[index] = values
        set_array(name, array)(model)

    return damage


FIRST = (0, 0, slice(0, 2))


@pytest.mark.parametrize(
    ("name", "index", "values"),
    [
        *((f"{name}_int8", FIRST, [65, 65]) for name in ("input_0", "recurrent_0", "recurrent_1")),
        ("input_1_int8", (0, 79, slice(2, 4)), [-127, -3]),
        ("recurrent_0_int8", (0, 3, slice(0, 2)), [-128, 0]),
        ("input_0_int8", (0, 3, slice(12, 13)), [-128]),
        ("output_weights_int8", (slice(4, 6), 11), [100, 30]),
        ("embedding_int8", (2, slice(0, 2)), [-128, 0]),
        *((f"{name}_scale", -1, 1e-39) for name in ("embedding", "input_0", "recurrent_1", "output_weights")),
        ("input_1_scale", -1, -0.5),
        ("input_1_scale", -1, np.nan),
    ],
)
def test_values_beyond_their_bounds_are_damage(
    core_reader: Path, name: str, index: int | tuple[int | slice, ...], values: float | list[int]
) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    change(name, index, values)(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, f"'{name}" in line) == (DAMAGED_MODEL, True), line


def test_products_of_scales_that_overflow_are_damage(core_reader: Path) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    change("embedding_scale", -1, 3e38)(model)
    assert refusal(core_reader, model.SerializeToString())[0] == DAMAGED_MODEL


def test_weights_at_their_bounds_are_accepted(core_reader: Path) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    for values in ([127, 2], [-127, -2], [127, -127], [64, 65]):
        change("recurrent_0_int8", FIRST, values)(model)
        ((*_, last),) = run_all(core_reader, [model.SerializeToString()])
        assert last == "layers 2 bits 8"


@pytest.mark.parametrize(("damage", "code", "part"), DAMAGED_INT8)
def test_a_change_is_refused(core_reader: Path, damage: Damage, code: int, part: str) -> None:
    model = make_int8_model(units=20, embedding=12, layers=2)
    damage(model)
    found, line = refusal(core_reader, model.SerializeToString())
    assert (found, part in line) == (code, True), line


def test_layers_with_too_many_inputs_are_refused(core_reader: Path) -> None:
    model = make_int8_model(SYMBOLS[:2], units=1, embedding=65537)
    assert refusal(core_reader, model.SerializeToString())[0] == TOO_LARGE
