"""The C core runs networks of LSTMs, and rejects weights that it cannot compute with."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from tests.helpers.c_programs import CORE, EXACT, PROGRAMS, WARNINGS, Build, link, run
from tests.helpers.core_reader import DAMAGED_MODEL, refusal
from tests.helpers.damaged_models import set_values, tensor
from tests.helpers.make_tiny_model import make_model

PROMPT = "é€ж𝄞\nabc"

# Hashes of the logits of a random network, with and without fused multiply-adds.
GOLDEN = "87c707bc3d386c46", "29e61189b258d5c4"


def without_a_table(build: Build, objects: Path, folder: Path) -> Path:
    """A core whose first layer multiplies its weights by the embedding in each step."""
    # Another test may be linking a program there.
    copied = shutil.copytree(objects, folder / "objects", ignore=shutil.ignore_patterns("*.new", "*.gcda"))
    flags = [*WARNINGS, "-DTEXTGEN_MAX_TABLE_BYTES=0"]
    run(*build.command, *flags, "-c", CORE / "pack.c", "-o", copied / "pack.o")
    return copied


def test_texts_are_the_same_without_a_table_of_the_first_layer(
    build: Build, objects: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(layers=3, residual=True).SerializeToString())
    arguments = (path, "", PROMPT, "300", "5", "0", "1")
    others = without_a_table(build, objects, tmp_path)
    programs = [link(build, each, PROGRAMS / "texts.c") for each in (others, objects)]
    first, second = (run(program, *arguments) for program in programs)
    assert first == second


@pytest.mark.parametrize("name", ["embedding", "bias_1"])
def test_sums_of_weights_that_overflow_are_damage(core_reader: Path, name: str) -> None:
    """The embedding is multiplied by weights, and an LSTM has two biases."""
    model = make_model(layers=3, residual=True)
    values = np.full_like(numpy_helper.to_array(tensor(model, name)), 3e38)
    set_values(name, values)(model)
    assert refusal(core_reader, model.SerializeToString())[0] == DAMAGED_MODEL


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_logits_are_the_same_to_the_last_bit(
    build: Build, objects: Path, recurrent: bool, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    model = make_model(layers=3, residual=True, units=40, embedding=20, scale=0.2)
    for i in range(3 if recurrent else 0):
        # The biases of the inputs move to the hidden state. Their sums stay the same.
        bias = numpy_helper.to_array(tensor(model, f"bias_{i}"))
        set_values(f"bias_{i}", np.roll(bias, bias.size // 2))(model)
    path.write_bytes(model.SerializeToString())
    lines = run(link(build, objects, PROGRAMS / "exact.c"), path).splitlines()
    hashes = dict(line.split() for line in lines[3:])
    fused, unfused = GOLDEN
    assert hashes.pop("baseline") in (fused, unfused)
    assert set(hashes.values()) <= {fused}
