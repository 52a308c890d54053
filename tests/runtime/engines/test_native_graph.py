"""Model files that the native engine reads, rejects as damaged, or does not know."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, numpy_helper
from textgen_runtime.engine import NativeEngine
from textgen_runtime.errors import UnknownGraphError
from textgen_runtime.model import open_model
from textgen_runtime.onnxruntime import OnnxEngine

from tests.helpers.damaged_models import (
    Damage,
    clip_the_gates,
    scale_the_logits,
    tensor,
)
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.paths import ROOT


def test_a_damaged_file_is_rejected_with_the_message_of_the_core(tiny_proto: onnx.ModelProto) -> None:
    """``tests/core/test_core_reader.py`` has all kinds of damage."""
    tensor(tiny_proto, "embedding").ClearField("raw_data")
    for read in (NativeEngine, open_model):
        with pytest.raises(textgen.ModelFileError, match="'embedding'") as caught:
            read(tiny_proto.SerializeToString())
        assert not isinstance(caught.value, UnknownGraphError)


@pytest.mark.parametrize("change", [clip_the_gates, scale_the_logits])
def test_unknown_graphs_run_only_with_the_onnxruntime_engine(
    change: Damage, tiny_proto: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(tiny_proto)
    content = tiny_proto.SerializeToString()
    with pytest.raises(UnknownGraphError):
        NativeEngine(content)
    with monkeypatch.context() as patch:
        patch.delattr("onnxruntime.InferenceSession")
        with pytest.raises(textgen.ModelFileError, match=r'trust the file, use engine="onnxruntime"$'):
            open_model(content)
    model = open_model(content, "onnxruntime")
    assert model.engine.name.startswith("onnxruntime")
    assert len(model.generate("abc", length=5, seed=1)) == 5


@pytest.mark.parametrize("engine", [NativeEngine, OnnxEngine])
def test_metadata_and_parameters_are_those_of_the_file(engine: type, tiny_proto: onnx.ModelProto) -> None:
    entry = tiny_proto.metadata_props.add()
    entry.key, entry.value = "é", "€𝄞"
    core = engine(tiny_proto.SerializeToString()).core
    assert [core.metadata(key) for key in ("é", "textgen.format", "none")] == ["€𝄞", "1", None]
    stored = tiny_proto.graph.initializer
    expected = sum(
        numpy_helper.to_array(tensor).size for tensor in stored if tensor.data_type == TensorProto.FLOAT
    )
    assert core.parameters == expected == 240


def test_a_large_vocabulary_needs_no_table_of_token_gates() -> None:
    """The table would take 268 MB. Instead, each step multiplies the embedding by the input weights."""
    symbols = [chr(0x20000 + i) for i in range(2**16 - 11)]
    content = make_model([*SYMBOLS, *symbols], units=256, scale=0.07).SerializeToString()
    native, reference = NativeEngine(content), OnnxEngine(content)
    assert native.core.step_bytes < 4 * (2**16 + 128) * 260 + 2**21
    tokens = np.random.default_rng(0).integers(2**16 + 1, size=(3, 2))
    logits, _ = native.forward(tokens, native.initial_state(2))
    expected, _ = reference.forward(tokens, reference.initial_state(2))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_a_graph_that_is_too_large_is_an_error_that_says_so() -> None:
    with pytest.raises(textgen.ModelFileError, match=r'use engine="onnxruntime"$'):
        open_model(make_model(layers=1400, units=1).SerializeToString())


def test_a_file_that_needs_many_times_its_size_in_memory_is_rejected() -> None:
    """With one unit and an embedding of 500,000, the weights are 12 MB, and 128 MB with padding."""
    content = make_model("ab", units=1, embedding=500_000).SerializeToString()
    with pytest.raises(UnknownGraphError, match="many times more memory"):
        NativeEngine(content)
    NativeEngine(make_model("ab", units=1, embedding=100_000).SerializeToString())


def test_a_large_embedding_is_packed_in_parts() -> None:
    """The table of token gates is computed in blocks of columns and tokens."""
    content = make_model([chr(0x100 + i) for i in range(100)], units=40, embedding=6000, scale=0.02)
    native, reference = (engine(content.SerializeToString()) for engine in (NativeEngine, OnnxEngine))
    tokens = np.arange(100).reshape(100, 1)
    logits, _ = native.forward(tokens, native.initial_state(1))
    expected, _ = reference.forward(tokens, reference.initial_state(1))
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize(("reader", "count"), [("native", 1000), ("onnxruntime", 200), ("saved", 500)])
def test_mutated_files_never_crash(reader: str, count: int, tiny_path: Path) -> None:
    """Run in a separate process to detect crashes. ``make fuzz`` tests many more files."""
    script = ROOT / "benchmarks" / "mutate_models.py"
    command = [sys.executable, str(script), str(tiny_path), "--count", str(count), "--seed", "1"]
    completed = subprocess.run(
        [*command, "--reader", reader], capture_output=True, check=False, encoding="utf-8"
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.startswith(f"{count} damaged files, {reader}: ")
    assert " ran" in completed.stdout
