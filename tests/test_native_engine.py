"""The native engine against onnxruntime, against itself, and against the definitions of its functions."""

import dataclasses
import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime import Sampler
from textgen_runtime._decoder import Decoder, activation, kernel_names
from textgen_runtime.engine import Measurements, initial_state
from textgen_runtime.native_engine import NativeEngine
from textgen_runtime.native_graph import read_weights
from textgen_runtime.native_weights import PackedWeights, pack
from textgen_runtime.onnx_engine import OnnxEngine
from textgen_runtime.onnx_file import parse

from .make_tiny_model import make_model

KERNELS = kernel_names()

# Vocabulary, units and layers that fill the kernels' blocks, just miss them, or exceed them.
SIZES = [
    (1, 1, 1),
    (2, 1, 5),
    (12, 4, 1),
    (64, 16, 1),
    (65, 17, 1),
    (130, 40, 2),
    (9, 33, 3),
    (59, 128, 1),
    (300, 48, 1),
]


def symbols(count: int) -> list[str]:
    return [chr(0x4E00 + i) for i in range(count)]


def packed(content: bytes) -> PackedWeights:
    return pack(read_weights(parse(content)))


def engines(vocabulary: int, units: int, layers: int, kernels: str) -> tuple[NativeEngine, OnnxEngine]:
    # Larger weights make a network chaotic: it blows the last bit up, whatever computes it.
    scale = 1.2 / math.sqrt(units)
    content = make_model(symbols(vocabulary), units=units, layers=layers, scale=scale).SerializeToString()
    return NativeEngine(packed(content), kernels=kernels), OnnxEngine(content)


def samplers(count: int, temperature: float = 1.0, seed: int = 1) -> list[Sampler]:
    return [Sampler(temperature, seed, substream=i) for i in range(count)]


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("vocabulary", "units", "layers"), SIZES)
def test_logits_are_those_of_onnxruntime(vocabulary: int, units: int, layers: int, kernels: str) -> None:
    native, reference = engines(vocabulary, units, layers, kernels)
    assert (native.layers, native.units, native.vocabulary_size) == (layers, units, vocabulary)
    tokens = np.random.default_rng(0).integers(vocabulary, size=(40, 7))
    logits, state = native.step(tokens, initial_state(native, 7))
    expected, expected_state = reference.step(tokens, initial_state(reference, 7))
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(state.hidden, expected_state.hidden, atol=1e-5)
    np.testing.assert_allclose(state.cell, expected_state.cell, atol=1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_logits_stay_together_over_ten_thousand_chained_steps(kernels: str) -> None:
    native, reference = engines(59, 32, 2, kernels)
    tokens = np.random.default_rng(1).integers(59, size=(10_000, 1))
    logits, _ = native.step(tokens, initial_state(native))
    expected, _ = reference.step(tokens, initial_state(reference))
    assert np.abs(logits - expected).max() < 1e-4


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_are_those_of_onnxruntime(temperature: float, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(symbols(59), units=64, scale=0.3).SerializeToString())
    native, reference = textgen.load(path, engine="native"), textgen.load(path, engine="onnxruntime")
    options: dict[str, Any] = {"length": 2000, "temperature": temperature, "seed": 5}
    assert native.generate(symbols(1)[0], **options) == reference.generate(symbols(1)[0], **options)


@pytest.mark.parametrize("kernels", KERNELS)
def test_decoding_is_drawing_and_stepping(kernels: str) -> None:
    native, _ = engines(65, 17, 2, kernels)
    logits, state = native.step(np.array([[3]]), initial_state(native))
    decoded = native.decode(samplers(1), logits[0], state, 100)
    sampler = samplers(1)[0]
    for token in decoded.tokens[:, 0]:
        assert sampler.draw(logits[0, 0]) == token
        logits, state = native.step(np.array([[token]]), state)
    np.testing.assert_array_equal(decoded.logits, logits[0])
    np.testing.assert_array_equal(decoded.state.hidden, state.hidden)
    np.testing.assert_array_equal(decoded.state.cell, state.cell)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_streams_text_does_not_depend_on_the_others(kernels: str, threads: int) -> None:
    """To the last bit, whatever the number of streams and of threads."""
    content = make_model(symbols(59), units=40, layers=2, scale=0.3).SerializeToString()
    native = NativeEngine(packed(content), threads=threads, kernels=kernels)
    start, state = native.step(np.arange(11)[np.newaxis], initial_state(native, 11))
    together = native.decode(samplers(11), start[0], state, 60)
    assert len({tuple(tokens) for tokens in together.tokens.T}) == 11
    for count in (1, 2, 4, 5):
        some = native.decode(
            samplers(count), start[0, :count], textgen.State(*(part[:, :count] for part in state)), 60
        )
        np.testing.assert_array_equal(some.tokens, together.tokens[:, :count])
        np.testing.assert_array_equal(some.logits, together.logits[:count])
        np.testing.assert_array_equal(some.state.cell, together.state.cell[:, :count])


def test_there_is_no_other_activation() -> None:
    with pytest.raises(ValueError, match="the kernels compute 'sigmoid' and 'tanh', not 'relu'"):
        activation("relu", np.zeros(1, np.float32), KERNELS[0])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("name", "function"), [("tanh", math.tanh), ("sigmoid", None)])
def test_activations_are_within_their_bound(kernels: str, name: str, function: Any) -> None:
    """At most 2e-7 absolute, as kernel_body.h says, on a dense grid and at the ends of the range."""
    grid = np.concatenate([np.linspace(-20, 20, 400_001), np.geomspace(1e-38, 3e38, 2001)])
    values = np.concatenate([grid, -grid, [0.0, -0.0, np.inf, -np.inf]]).astype(np.float32)
    exact = values.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = np.tanh(exact) if function else 1 / (1 + np.exp(-exact))
    assert np.abs(activation(name, values, kernels) - expected).max() <= 2e-7
    assert np.isnan(activation(name, np.array([np.nan], np.float32), kernels)).all()


def test_threads_share_an_engine() -> None:
    native, _ = engines(59, 32, 1, KERNELS[0])
    start, state = native.step(np.array([[1]]), initial_state(native))

    def work(seed: int) -> list[int]:
        drawn: list[int] = native.decode(samplers(1, seed=seed), start[0], state, 500).tokens[:, 0].tolist()
        return drawn

    alone = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == alone


def test_decoding_lets_other_threads_run() -> None:
    """A thread that waits to be let in gets in while another one decodes a single long piece."""
    native, _ = engines(59, 64, 1, KERNELS[0])
    start, state = native.step(np.array([[1]]), initial_state(native))
    started, ticks, finished = threading.Event(), [0], threading.Event()

    def decode() -> None:
        started.set()
        native.decode(samplers(1), start[0], state, 200_000)
        finished.set()

    thread = threading.Thread(target=decode)
    thread.start()
    started.wait()
    while not finished.is_set():
        ticks[0] += 1
    thread.join()
    # With the GIL held throughout, only the first few would fit before the decoding takes it.
    assert ticks[0] > 100_000


def test_measurements_are_added_up_over_threads() -> None:
    content = make_model(symbols(59), units=16, scale=0.3).SerializeToString()
    start: NDArray[np.float32] = np.zeros((4, 59), np.float32)
    for threads in (1, 2):
        native = NativeEngine(packed(content), threads=threads)
        measured = Measurements()
        native.decode(samplers(4), start, initial_state(native, 4), 1, measured)
        assert measured.characters == 4
        assert measured.entropy_bits == pytest.approx(4 * math.log2(59))


@pytest.mark.parametrize("threads", [1, 2])
def test_latencies_are_kept_for_each_piece_that_succeeded(threads: int) -> None:
    content = make_model(symbols(59), units=16, scale=0.3).SerializeToString()
    native = NativeEngine(packed(content), threads=threads)
    measured = Measurements(latencies=[])
    start: NDArray[np.float32] = np.zeros((4, 59), np.float32)
    native.decode(samplers(4), start, initial_state(native, 4), 7, measured)
    assert measured.latencies is not None
    assert [len(piece) for piece in measured.latencies] == [7] * threads
    assert all((piece > 0).all() for piece in measured.latencies)
    with pytest.raises(textgen.SamplingError):
        native.decode(samplers(4), np.full_like(start, np.nan), initial_state(native, 4), 7, measured)
    assert len(measured.latencies) == threads


def test_a_failure_is_told_when_every_thread_is_done() -> None:
    """Else a sampler could move on behind the back of whoever puts it back where it was."""
    content = make_model(symbols(59), units=64, scale=0.3).SerializeToString()
    native = NativeEngine(packed(content), threads=2)
    start: NDArray[np.float32] = np.zeros((2, 59), np.float32)
    start[0] = np.nan
    drawing = samplers(2)
    with pytest.raises(textgen.SamplingError):
        native.decode(drawing, start, initial_state(native, 2), 20_000)
    assert [sampler.position for sampler in drawing] == [1, 20_000]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    content = make_model(symbols(59), units=16, scale=0.3).SerializeToString()
    native = NativeEngine(packed(content), threads=2)
    start: NDArray[np.float32] = np.zeros((2, 59), np.float32)

    def decode() -> list[list[int]]:
        drawn: list[list[int]] = native.decode(
            samplers(2), start, initial_state(native, 2), 9
        ).tokens.tolist()
        return drawn

    expected = decode()
    child = os.fork()
    if not child:
        # Nothing of the test run's may go on in here; a child that waits forever is ended by the alarm.
        signal.alarm(60)
        try:
            os._exit(0 if decode() == expected else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.array([[59]])}, "tokens"),
        ({"tokens": np.array([[-1]])}, "tokens"),
        ({"tokens": np.array([1])}, "tokens"),
        ({"tokens": np.empty((0, 1), np.int64)}, "tokens"),
        ({"tokens": np.array([[1, 2]])}, "state"),
        ({"hidden": np.zeros((1, 1, 15), np.float32)}, "state"),
        ({"cell": np.zeros((2, 1, 16), np.float32)}, "state"),
    ],
)
def test_reading_checks_what_it_is_given(change: dict[str, Any], message: str) -> None:
    decoder = Decoder(packed(make_model(symbols(59), units=16).SerializeToString()))
    zeros = np.zeros((1, 1, 16), np.float32)
    with pytest.raises(ValueError, match=message):
        decoder.read(**({"tokens": np.array([[1]]), "hidden": zeros, "cell": zeros} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samplers": []}, "samplers"),
        ({"samplers": samplers(2)}, "logits"),
        ({"length": -1}, "length"),
        ({"logits": np.zeros((1, 58), np.float32)}, "logits"),
        ({"hidden": np.zeros((1, 2, 16), np.float32)}, "state"),
    ],
)
def test_decoding_checks_what_it_is_given(change: dict[str, Any], message: str) -> None:
    decoder = Decoder(packed(make_model(symbols(59), units=16).SerializeToString()))
    zeros = np.zeros((1, 1, 16), np.float32)
    given: dict[str, Any] = {
        "samplers": samplers(1),
        "logits": np.zeros((1, 59), np.float32),
        "hidden": zeros,
        "cell": zeros,
        "length": 3,
    }
    with pytest.raises(ValueError, match=message):
        decoder.decode(**(given | change))
    twice = samplers(1) * 2
    with pytest.raises(ValueError, match="each another"):
        decoder.decode(twice, np.zeros((2, 59), np.float32), zeros, zeros, 1)


def test_decoding_ends_before_a_random_stream_does() -> None:
    native, _ = engines(59, 16, 1, KERNELS[0])
    start: NDArray[np.float32] = np.zeros((2, 59), np.float32)
    drawing = samplers(2)
    drawing[1].position = 2**63 - 1 - 5
    with pytest.raises(textgen.SamplingError, match="used up"):
        native.decode(drawing, start, initial_state(native, 2), 6)
    assert [sampler.position for sampler in drawing] == [0, 2**63 - 1 - 5]
    native.decode(drawing, start, initial_state(native, 2), 5)
    assert [sampler.position for sampler in drawing] == [5, 2**63 - 1]


def misaligned(array: NDArray[np.float32]) -> NDArray[np.float32]:
    room = np.zeros(array.size + 17, np.float32)
    start = -(room.ctypes.data // 4) % 16 + 1
    room[start : start + array.size] = array.ravel()
    return room[start : start + array.size].reshape(array.shape)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda array: array[:-1],
        lambda array: array[..., :-1],
        lambda array: array[np.newaxis],
        lambda array: array.astype(np.float64),
        lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        lambda array: array.tolist(),
        lambda _: None,
        misaligned,
    ],
)
@pytest.mark.parametrize("name", ["rows", "weights", "biases", "output", "output_bias"])
@pytest.mark.parametrize("layer", [0, 1])
def test_weights_that_the_kernels_cannot_read(name: str, layer: int, spoil: Any) -> None:
    whole = packed(make_model(symbols(70), units=17, layers=2).SerializeToString())
    value = getattr(whole, name)
    if isinstance(value, tuple):
        spoiled: Any = [spoil(array) if i == layer else array for i, array in enumerate(value)]
    else:
        spoiled = spoil(value)
    with pytest.raises(ValueError, match="packed weights must be"):
        Decoder(dataclasses.replace(whole, **{name: spoiled}))


@pytest.mark.parametrize(
    "change",
    [
        {"units": 0},
        {"units": -1},
        {"units": 33},
        {"units": 2**70},
        {"vocabulary": 0},
        {"vocabulary": 69},
        {"vocabulary": 2**70},
        {"weights": ()},
        {"biases": ()},
    ],
)
def test_weights_of_other_sizes_than_are_stated(change: dict[str, Any]) -> None:
    whole = packed(make_model(symbols(70), units=17, layers=2).SerializeToString())
    with pytest.raises(ValueError, match="packed weights must be"):
        Decoder(dataclasses.replace(whole, **change))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_goes_on_while_a_thread_made_text() -> None:
    """From where the text stood before what the thread was making."""
    content = make_model(symbols(59), units=128, scale=0.1).SerializeToString()
    native = NativeEngine(packed(content))
    start, state = native.step(np.array([[1]]), initial_state(native))
    sampler, decoding = samplers(1), threading.Event()

    class Watched(Measurements):
        def __getattribute__(self, name: str) -> Any:
            # It is asked for just before the sampler's lock is taken.
            if name == "latencies":
                decoding.set()
            return super().__getattribute__(name)

    thread = threading.Thread(
        target=native.decode, args=(sampler, start[0], state, 200_000, Watched(latencies=[]))
    )
    thread.start()
    decoding.wait()
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            tokens = native.decode(sampler, start[0], state, 20).tokens.tolist()
            os._exit(tokens != native.decode(samplers(1), start[0], state, 20).tokens.tolist())
        finally:
            os._exit(2)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_samplers_of_another_kind() -> None:
    decoder = Decoder(packed(make_model(symbols(59), units=16).SerializeToString()))
    zeros = np.zeros((1, 1, 16), np.float32)
    sampler = Sampler(1.0)
    wide = np.zeros((1, 2, 16), np.float32)
    for mixed in ([sampler, object()], [object(), sampler]):
        with pytest.raises(TypeError):
            decoder.decode(mixed, np.zeros((2, 59), np.float32), wide, wide, 1)  # type: ignore[arg-type]
    # The one that is right was not left locked.
    assert len(decoder.decode([sampler], np.zeros((1, 59), np.float32), zeros, zeros, 1)[0]) == 1


def test_logits_that_are_no_numbers_are_an_error_and_free_the_samplers() -> None:
    native, _ = engines(59, 16, 1, KERNELS[0])
    sampler = Sampler(1.0)
    with pytest.raises(textgen.SamplingError, match="NaN"):
        native.decode([sampler], np.full((1, 59), np.nan, np.float32), initial_state(native), 5)
    assert sampler.draw([0.0]) == 0


def test_kernels_by_name() -> None:
    assert "baseline" in KERNELS
    with pytest.raises(ValueError, match="baseline"):
        engines(59, 16, 1, "abacus")
