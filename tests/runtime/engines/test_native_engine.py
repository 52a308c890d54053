"""The native engine agrees with onnxruntime in every instruction set, and frees other threads."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime import SamplingError, _core, engine
from textgen_runtime._core import MAX_STEPS, CoreModel
from textgen_runtime.engine import NativeEngine
from textgen_runtime.model import EngineName
from textgen_runtime.onnxruntime import OnnxEngine

from tests.helpers.int8_models import make_int8_model
from tests.helpers.make_tiny_model import make_model
from tests.helpers.native_engines import (
    KERNELS,
    assert_states_equal,
    content_of,
    engines,
    generate,
    symbols,
    texts_of,
)
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only

# Vocabulary, units, embedding and layers that fill the blocks of the kernels, or are a little less or more.
SIZES = [
    (1, 1, 3, 1),
    (2, 1, 3, 5),
    (12, 4, 3, 1),
    (30, 33, 5, 2),
    (30, 48, 20, 5),
    (64, 16, 16, 3),
    (65, 17, 3, 1),
    (130, 40, 3, 2),
    (59, 128, 3, 1),
    (300, 48, 3, 1),
]
# A layer of so many units has several tiles of weights.
UNITS, VOCABULARY, LANES = 80, 70, 31

each_kernels = pytest.mark.parametrize("kernels", KERNELS)


@each_kernels
@pytest.mark.parametrize(("vocabulary", "units", "embedding", "layers"), SIZES)
def test_logits_and_states_equal_those_of_onnxruntime(
    kernels: str, vocabulary: int, units: int, embedding: int, layers: int
) -> None:
    # Larger weights make a network chaotic, so that rounding differences between engines grow.
    options: dict[str, Any] = {"residual": layers % 2 == 1 and layers > 1, "scale": 1.2 / units**0.5}
    model = make_model(symbols(vocabulary), units=units, embedding=embedding, layers=layers, **options)
    content = model.SerializeToString()
    native, reference = NativeEngine(content, kernels=kernels), OnnxEngine(content)
    assert (
        native.core.state_shapes
        == reference.core.state_shapes
        == dict.fromkeys(("hidden", "cell"), (layers, units))
    )
    assert native.vocabulary_size == vocabulary
    rng = np.random.default_rng(0)
    tokens = rng.integers(vocabulary, size=(40, 7))
    arrays = {name: rng.normal(size=(layers, 7, units)).astype(np.float32) for name in ("hidden", "cell")}
    logits, state = native.forward(tokens, arrays)
    expected, expected_state = reference.forward(tokens, arrays)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for name in expected_state:
        np.testing.assert_allclose(state[name], expected_state[name], atol=1e-5)
    # The same in parts.
    state = arrays
    parts = []
    for part in np.split(tokens, [1, 2, 5, 14]):
        part_logits, state = native.forward(part, state)
        parts.append(part_logits)
    np.testing.assert_array_equal(np.concatenate(parts), logits)
    assert_states_equal(state, native.forward(tokens, arrays)[1])


def test_logits_equal_those_of_onnxruntime_over_ten_thousand_steps() -> None:
    native, reference = engines(59, 32, 2, KERNELS[0])
    tokens = np.random.default_rng(1).integers(59, size=(10_000, 1))
    logits, _ = native.forward(tokens, native.initial_state())
    expected, _ = reference.forward(tokens, reference.initial_state())
    assert np.abs(logits - expected).max() < 1e-4


@each_kernels
@pytest.mark.parametrize("make", [make_model, make_int8_model])
def test_logits_are_equal_to_the_bit_with_any_number_of_lanes(make: Any, kernels: str) -> None:
    model = make(symbols(VOCABULARY), scale=0.1, units=UNITS, layers=2)
    engine = NativeEngine(model.SerializeToString(), kernels=kernels)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (3, LANES))

    def logits(lanes: int) -> NDArray[np.float32]:
        return engine.forward(tokens[:, :lanes], engine.initial_state(lanes))[0]

    expected = logits(LANES)
    for lanes in range(1, LANES):
        np.testing.assert_array_equal(logits(lanes), expected[:, :lanes], strict=True)


def test_kernels_are_selected_by_name() -> None:
    assert "baseline" in KERNELS
    for name in KERNELS:
        assert NativeEngine(content_of(12, 4), kernels=name).name == f"native ({name})"
    with pytest.raises(SamplingError) as caught:
        engines(59, 16, 1, "abacus")
    assert caught.value.parameter == "kernels"


# 8-bit weights have two factors of each sum.
@pytest.mark.parametrize(
    ("make", "bytes_of_weight", "factors"),
    [(make_model, 4, 0), (make_int8_model, 1, 2 * (4 * 64 + 4 * 64))],
)
def test_step_bytes_equals_the_size_of_the_padded_weights(
    make: Any, bytes_of_weight: int, factors: int
) -> None:
    core = CoreModel(make(symbols(64), units=16, embedding=4).SerializeToString())
    # The gates of a token, the recurrent weights, and the output layer with its bias.
    assert core.step_bytes == 4 * 64 + bytes_of_weight * (64 * 16 + 64 * 16) + 4 * 64 + factors
    assert core.read_weights(2) > 0


@pytest.mark.parametrize(
    "tokens", [[[59]], [[-1]], [1], [], [[1.0]], np.array([[1]], np.int32), [[1, 2]]], ids=str
)
def test_wrong_tokens_are_an_error(tokens: Any) -> None:
    core = CoreModel(content_of(59, 16))
    with pytest.raises(ValueError):  # noqa: PT011 (each error has its message)
        core.forward(np.asarray(tokens), np.zeros(32, np.float32))


@pytest.mark.parametrize(
    ("cell", "error"),
    [((1, 1, 15), ValueError), ((2, 1, 16), ValueError), ((1, 2, 16), ValueError), (16, ValueError)],
)
def test_a_state_of_another_shape_is_an_error(cell: Any, error: type[Exception]) -> None:
    engine = NativeEngine(content_of(59, 16))
    arrays = engine.initial_state()
    for wrong in (arrays | {"cell": np.zeros(cell, np.float32)}, {"hidden": arrays["hidden"]}):
        with pytest.raises(error, match="the state array 'cell'"):
            engine.forward(np.array([[1]]), wrong)


def ticks_during_generate() -> int:
    """Count while another thread generates a long chunk in one call."""
    native, _ = engines(59, 256, 1, KERNELS[0])
    started, ticks, finished = threading.Event(), 0, threading.Event()

    def work() -> None:
        started.set()
        generate(native, texts_of(native, 1), MAX_STEPS)
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while not finished.is_set():
        ticks += 1
    thread.join()
    return ticks


def test_other_threads_run_during_generate() -> None:
    """If the loop held the GIL, a thread would count only until the loop starts.

    On a busy machine, a thread may not run during one call.
    """
    assert any(ticks_during_generate() > 100_000 for _ in range(10))


def test_no_thread_has_more_lanes_than_that_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the server can measure a chunk by the time of its own thread."""
    native, shares = NativeEngine(content_of(59, 16), threads=3), list[tuple[bool, int]]()

    def record(*arguments: Any) -> Any:
        shares.append((threading.current_thread() is threading.main_thread(), len(arguments[0])))
        return _core.generate(*arguments)

    monkeypatch.setattr(engine, "generate", record)
    for lanes in range(1, 9):
        shares.clear()
        generate(native, texts_of(native, lanes), 2)
        sizes = [size for _, size in shares]
        assert (sum(sizes), max(sizes)) == (lanes, dict(shares)[True])


@posix_only
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_starts_new_threads() -> None:
    native = NativeEngine(content_of(59, 16), threads=2)
    expected = generate(native, texts_of(native, 2), 9)
    child = os.fork()
    if not child:
        # The child must not continue the test run. The alarm ends a child that hangs.
        signal.alarm(60)
        try:
            os._exit(0 if generate(native, texts_of(native, 2), 9) == expected else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_tiny_model_equals_the_output_of_its_script() -> None:
    expected, stored = make_model(), onnx.load(TINY)
    assert expected.graph == stored.graph
    assert list(expected.metadata_props) == list(stored.metadata_props)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_model_needs_one_thread_or_more(threads: int, tiny_path: Path) -> None:
    with pytest.raises(ValueError, match="threads"):
        textgen.load(tiny_path, threads=threads)
    assert textgen.load(tiny_path, threads=2).generate("abc", length=3, seed=0)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_last_only_returns_the_logits_after_the_last_token(engine: EngineName) -> None:
    loaded = textgen.load(TINY, engine=engine).engine
    for time, batch in ((1, 1), (7, 1), (5, 3)):
        tokens = np.random.default_rng(time).integers(loaded.vocabulary_size, size=(time, batch))
        logits, state = loaded.forward(tokens, loaded.initial_state(batch))
        last_logits, last_state = loaded.forward(tokens, loaded.initial_state(batch), last_only=True)
        assert last_logits.shape == (1, batch, loaded.vocabulary_size)
        np.testing.assert_allclose(last_logits[0], logits[-1], atol=1e-6)
        np.testing.assert_array_equal(last_state["hidden"], state["hidden"])
        np.testing.assert_array_equal(last_state["cell"], state["cell"])
