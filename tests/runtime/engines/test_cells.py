"""The native engine runs every kind of layer as onnxruntime does, in every instruction set."""

from pathlib import Path

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.base import State
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.engines.onnxruntime import OnnxEngine
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.errors import TooLargeError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import Conv, Embedding, Linear, Network
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import make_model, random_weights
from tests.helpers.native_engines import KERNELS, assert_states_equal, lanes, samplers, symbols

CELLS = ("lstm", "gru", "conv")

each_cell = pytest.mark.parametrize("cell", CELLS)


def content_of(
    cell: str, *, units: int = 20, embedding: int = 7, layers: int = 3, residual: bool = True
) -> bytes:
    model = make_model(
        symbols(30),
        cell=cell,
        units=units,
        embedding=embedding,
        layers=layers,
        residual=residual,
        scale=1.2 / units**0.5,
    )
    return bytes(model.SerializeToString())


def random_state(engine: NativeEngine, batch: int) -> State:
    rng = np.random.default_rng(2)
    return State(
        {
            name: rng.normal(size=(rows, batch, units)).astype(np.float32)
            for name, (rows, units) in engine.network.state.items()
        }
    )


@each_cell
@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    ("units", "embedding", "layers", "residual"),
    [(1, 1, 1, False), (4, 3, 2, True), (16, 16, 3, True), (33, 5, 2, False), (48, 20, 5, True)],
)
def test_logits_and_states_equal_those_of_onnxruntime(  # noqa: PLR0913, PLR0917 (parameters)
    cell: str, kernels: str, units: int, embedding: int, layers: int, residual: bool
) -> None:
    content = content_of(cell, units=units, embedding=embedding, layers=layers, residual=residual)
    native, reference = NativeEngine(content, kernels=kernels), OnnxEngine(content)
    assert native.network.state == reference.network.state
    assert native.network.depth_and_units == (layers, units)
    tokens = np.random.default_rng(0).integers(30, size=(9, 6))
    state = random_state(native, 6)
    logits, next_state = native.forward(tokens, state)
    expected, expected_state = reference.forward(tokens, state)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for name in expected_state:
        np.testing.assert_allclose(next_state[name], expected_state[name], atol=1e-5)


@each_cell
@pytest.mark.parametrize("kernels", KERNELS)
def test_a_text_in_parts_equals_the_text_at_once(cell: str, kernels: str) -> None:
    """The parts are shorter and longer than the dilations."""
    native = NativeEngine(content_of(cell, layers=4), kernels=kernels)
    tokens = np.random.default_rng(0).integers(30, size=(25, 5))
    expected, expected_state = native.forward(tokens, native.initial_state(5))
    parts, state = [], native.initial_state(5)
    for part in np.split(tokens, [1, 2, 5, 14]):
        logits, state = native.forward(part, state)
        parts.append(logits)
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert_states_equal(state, expected_state)


@each_cell
@pytest.mark.parametrize("kernels", KERNELS)
def test_lanes_that_end_early_do_not_change_the_others(cell: str, kernels: str) -> None:
    native = NativeEngine(content_of(cell, layers=4), kernels=kernels)
    lengths = [3, 11, 1, 7, 20, 20, 5]
    all_lanes = [
        lane._replace(length=length)
        for lane, length in zip(lanes(native, samplers(7), 20), lengths, strict=True)
    ]
    together = native.generate(all_lanes, 20)
    for index, length in enumerate(lengths):
        sampler = samplers(7)[index]
        (alone,) = native.generate([all_lanes[index]._replace(sampler=sampler)], 20)
        assert list(together[index].tokens) == list(alone.tokens)
        assert len(alone.tokens) == length
        assert_states_equal(together[index].state, alone.state)


@each_cell
def test_generation_in_chunks_equals_generation_at_once(cell: str) -> None:
    native = NativeEngine(content_of(cell, layers=4))
    (whole,) = native.generate(lanes(native, samplers(1), 40), 40)
    (sampler,) = samplers(1)
    tokens: list[int] = []
    (lane,) = lanes(native, [sampler], 40)
    for steps in (1, 2, 9, 28):
        (part,) = native.generate([lane], steps)
        tokens += part.tokens
        lane = lane._replace(logits=part.logits, state=part.state, length=40 - len(tokens) or 1)
    assert tokens == list(whole.tokens)
    assert_states_equal(part.state, whole.state)


@each_cell
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_saved_generation_continues(cell: str, engine: EngineName, tmp_path: Path) -> None:
    model = open_model(make_model(cell=cell, layers=3, residual=True).SerializeToString(), engine)
    expected = model.start("abc", seed=3, temperature=1.0).take(40)
    generation = model.start("abc", seed=3, temperature=1.0)
    first = generation.take(15)
    textgen.save(generation, tmp_path / "saved.npz")
    assert first + textgen.resume(model, tmp_path / "saved.npz").take(25) == expected


def test_a_large_vocabulary_needs_no_table_of_token_gates() -> None:
    """Each step of a GRU multiplies the embedding by the input weights, as that of a convolution always does.

    ``test_native_graph.py`` has the same for an LSTM.
    """
    vocabulary = [chr(0x10000 + i) for i in range(2**16 + 1)]
    content = make_model(vocabulary, cell="gru", units=256, embedding=5, scale=0.07).SerializeToString()
    native, reference = NativeEngine(content), OnnxEngine(content)
    tokens = np.random.default_rng(0).integers(2**16 + 1, size=(3, 2))
    logits, _ = native.forward(tokens, native.initial_state(2))
    expected, _ = reference.forward(tokens, reference.initial_state(2))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_sums_of_weights_and_weights_that_are_read_agree() -> None:
    for cell in CELLS:
        native = NativeEngine(content_of(cell))
        assert np.isfinite(native.core.read_weights(2))
        assert native.core.step_bytes > 0


def deep_conv(layers: int) -> bytes:
    """Return a network of many convolutions with small dilations."""
    network = Network.from_layers(
        (
            Embedding("embed", 2, 1),
            *(Conv(f"conv_{i}", 1, 1, dilation=1) for i in range(layers)),
            Linear("output", 1, 2),
        )
    )
    return bytes(
        build_model(network, random_weights(network), Metadata(CharacterTokenizer("ab"))).SerializeToString()
    )


def test_the_number_of_convolutions_is_limited() -> None:
    with pytest.raises(TooLargeError, match="more than 64 outputs"):
        NativeEngine(deep_conv(64))
    NativeEngine(deep_conv(63))
