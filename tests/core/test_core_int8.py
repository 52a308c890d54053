"""The C core runs networks with 8-bit weights, with the same results everywhere, and rejects damaged ones."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import numpy_helper
from textgen_runtime._core import kernel_names

from tests.core.test_core_cells import without_a_table
from tests.helpers.c_programs import EMULATOR, EXACT, PROGRAMS, Build, link, run
from tests.helpers.core_reader import DAMAGED_MODEL, TOO_LARGE, refusal, run_all
from tests.helpers.damaged_models import DAMAGED_INT8, Damage, tensor
from tests.helpers.int8_models import make_int8_model
from tests.helpers.make_tiny_model import SYMBOLS
from tests.helpers.paths import TINY_INT8, TINY_INT8_TEXT

# Hashes of the logits and the states of random networks.
GOLDEN = {1: "ab0d5da3bbb4421f", 3: "a58d160aab9e7cbd"}

each_network = pytest.mark.parametrize("layers", GOLDEN)


def write_model(folder: Path, layers: int) -> Path:
    """Write a model with residual connections, and sizes that are no multiples of the sizes of vectors."""
    model = make_int8_model(layers=layers, residual=True, units=37, embedding=19, scale=0.3)
    written = folder / "model.onnx"
    written.write_bytes(model.SerializeToString())
    return written


@pytest.fixture
def path(layers: int, tmp_path: Path) -> Path:
    """A model of ``write_model``."""
    return write_model(tmp_path, layers)


def hashes(program: Path, path: Path) -> dict[str, str]:
    """Return the hash of each instruction set."""
    return dict(line.split() for line in run(program, path).splitlines())


@each_network
@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_results_are_the_same_to_the_last_bit_in_all_instruction_sets(
    build: Build, objects: Path, layers: int, path: Path
) -> None:
    found = hashes(link(build, objects, PROGRAMS / "int8.c"), path)
    assert "baseline" in found
    assert set(found.values()) == {GOLDEN[layers]}


@each_network
def test_results_are_the_same_without_a_table_of_the_first_layer(
    build: Build, objects: Path, layers: int, path: Path
) -> None:
    others = without_a_table(build, objects, path.parent)
    found = hashes(link(build, others, PROGRAMS / "int8.c"), path)
    assert set(found.values()) == {GOLDEN[layers]}


@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_the_golden_text_is_the_same_everywhere(build: Build, objects: Path) -> None:
    program = link(build, objects, PROGRAMS / "texts.c")
    text = TINY_INT8_TEXT.read_bytes().decode()
    only_baseline = EMULATOR or build.variant in ("plain C", "32 bits")
    for kernels in ["", "baseline"] if only_baseline else ["", *kernel_names()]:
        assert run(program, TINY_INT8, kernels, "abc", "400", "7", "1") == text + "\0", kernels


def test_python_generates_the_golden_text() -> None:
    text = TINY_INT8_TEXT.read_bytes().decode()
    assert textgen.load(TINY_INT8).start("abc", temperature=1.0, seed=7).take(400) == text


def set_weight(name: str, index: tuple[int | slice, ...], values: list[int]) -> Damage:
    """Return a change of neighboring 8-bit weights."""

    def damage(model: onnx.ModelProto) -> None:
        array = numpy_helper.to_array(tensor(model, f"{name}_int8")).copy()
        array[index] = values
        tensor(model, f"{name}_int8").CopyFrom(numpy_helper.from_array(array, f"{name}_int8"))

    return damage


def set_scale(name: str, value: float) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        scales = numpy_helper.to_array(tensor(model, f"{name}_scale")).copy()
        scales[-1] = value
        tensor(model, f"{name}_scale").CopyFrom(numpy_helper.from_array(scales, f"{name}_scale"))

    return damage


FIRST = (0, 0, slice(0, 2))


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        *((set_weight(name, FIRST, [65, 65]), name) for name in ("input_0", "recurrent_0", "recurrent_1")),
        (set_weight("input_1", (0, 79, slice(2, 4)), [-127, -3]), "input_1"),
        (set_weight("recurrent_0", (0, 3, slice(0, 2)), [-128, 0]), "recurrent_0"),
        (set_weight("input_0", (0, 3, slice(12, 13)), [-128]), "input_0"),
        (set_weight("output_weights", (slice(4, 6), 11), [100, 30]), "output_weights"),
        (set_weight("embedding", (2, slice(0, 2)), [-128, 0]), "embedding"),
        *(
            (set_scale(name, 1e-39), name)
            for name in ("embedding", "input_0", "recurrent_1", "output_weights")
        ),
        (set_scale("input_1", -0.5), "input_1"),
        (set_scale("input_1", np.nan), "input_1"),
        # The products overflow.
        (set_scale("embedding", 3e38), ""),
    ],
)
def test_values_beyond_their_bounds_are_damage(core_reader: Path, damage: Damage, name: str) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    damage(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, f"'{name}_" in line or not name) == (DAMAGED_MODEL, True), line


def test_weights_at_their_bounds_are_accepted(core_reader: Path) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    for values in ([127, 2], [-127, -2], [127, -127], [64, 65]):
        set_weight("recurrent_0", FIRST, values)(model)
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
