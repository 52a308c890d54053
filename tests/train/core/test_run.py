"""Runs of the trainer in C: updates, threads, batches, scores, and saved blocks."""

from ctypes import byref, c_double, c_int64, c_uint64, c_void_p, sizeof

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
import torch
from numpy.typing import NDArray
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.learner_torch import Muon

from .trainer import Options, Run, Trainer, kernels, library, matrices, memory, tokens_of, without_padding

VOCABULARY = 12
BEGIN, END = 10, 11
OPTIONS: dict[str, float] = {
    "units": 24,
    "layers": 2,
    "embedding": 6,
    "batch": 10,
    "sequence_length": 8,
    "warmup": 3,
}
DROPS = {"dropout": 0.2, "input_dropout": 0.1, "weight_dropout": 0.3}
MUON_STEPS = 6


def text(count: int, seed: int = 1) -> NDArray[np.uint8]:
    """A text with a pattern, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    return ((np.arange(count) + (rng.random(count) < 0.2)) % 10).astype(np.uint8)


def records(count: int, longest: int, seed: int = 1) -> NDArray[np.uint16]:
    """Records of random lengths, some of them empty."""
    rng = np.random.default_rng(seed)
    parts = [np.append(np.arange(length) % 10, END) for length in rng.integers(0, longest, count)]
    return np.concatenate(parts).astype(np.uint16)


def rate_factor(step: int, progress: float) -> float:
    """Return what the rates of 20 units are multiplied by, with a warm-up of 3 steps."""
    warmup = min(1.0, max((step + 1) / 3, progress / 0.1))
    return float((128 / 20) ** 0.5 * warmup * 0.5 * (1 + np.cos(np.pi * progress)))


@pytest.mark.parametrize("muon_lr", [0.0, 0.03])
def test_steps_are_those_of_torch(muon_lr: float) -> None:
    # The gradients are those of the trainer, so that only the optimizers differ.
    options = {**OPTIONS, "muon_lr": muon_lr, "learning_rate": 0.02, "grad_clip": 0.05, "units": 20}
    trainer = Trainer(text(500), VOCABULARY, options)
    shape, core = trainer.shape, trainer.core
    parameters = {}
    layer_matrices: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for matrix in matrices(shape):
        values = without_padding(shape, matrix, trainer.weights)
        values = values.reshape(len(values), -1).T.astype(np.float64)
        copies = 2 if matrix.kind == 3 else 1
        tensors = [torch.tensor(values / copies).requires_grad_() for _ in range(copies)]
        parameters[matrix.kind, matrix.layer] = matrix, tensors
        (layer_matrices if matrix.kind in (1, 2) and muon_lr else others).extend(tensors)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.99), weight_decay=0.05)
    ]
    if muon_lr:
        muon = Muon(layer_matrices, 0.0, 0.05)
        muon.state.update({weight: {"momentum": torch.zeros_like(weight)} for weight in layer_matrices})
        optimizers.append(muon)
    for step in range(MUON_STEPS):
        progress = step / MUON_STEPS
        core.textgen_update_begin(trainer.update, c_double(progress))
        for phase in range(3):
            if phase == 2:
                gradient = trainer.gradient.copy()
            trainer.run_phase(phase)
        core.textgen_update_end(trainer.update)
        for matrix, tensors in parameters.values():
            values = without_padding(shape, matrix, gradient)
            for tensor in tensors:
                tensor.grad = torch.tensor(values.reshape(len(values), -1).T.astype(np.float64))
        torch.nn.utils.clip_grad_norm_([*others, *layer_matrices], 0.05)
        for optimizer, rate in zip(optimizers, (0.02, muon_lr), strict=False):
            optimizer.param_groups[0]["lr"] = rate * rate_factor(step, progress)
            optimizer.step()
    for matrix, tensors in parameters.values():
        found = without_padding(shape, matrix, trainer.weights)
        expected = torch.stack(tensors).sum(0).detach().numpy().T
        assert np.abs(found.reshape(expected.shape) - expected).max() < 1e-4, matrix.kind


@pytest.mark.parametrize("kind", ["text", "records"])
def test_the_weights_do_not_depend_on_threads_or_vectors(kind: str) -> None:
    data, ends = (text(700), (-1, -1)) if kind == "text" else (records(90, 30), (BEGIN, END))

    def learned(threads: int = 1, kernel_name: str | None = None, precision: int = 0) -> bytes:
        options = {**OPTIONS, **DROPS, "precision": precision}
        trainer = Trainer(
            data, VOCABULARY, options, seed=7, records=ends, threads=threads, kernel_name=kernel_name
        )
        losses = [trainer.step(i / 40) for i in range(40)]
        assert losses[-1] < losses[0]
        return trainer.block

    first = learned()
    assert learned(threads=3) == first
    if kernels("avx2"):
        assert learned(kernel_name="avx2") == first
        assert learned(kernel_name="baseline") != first
    if kernels(is_bfloat16=True):
        assert learned(precision=1, threads=3) == learned(precision=1)


@pytest.mark.parametrize("kind", ["text", "records"])
def test_a_run_continues_from_its_block_to_the_bit(kind: str) -> None:
    data, ends = (text(700), (-1, -1)) if kind == "text" else (records(30, 30), (BEGIN, END))
    trainer = Trainer(data, VOCABULARY, {**OPTIONS, **DROPS}, records=ends)
    blocks = []
    for i in range(30):
        blocks.append(trainer.block)
        trainer.step(i / 30)
    assert trainer.run.epoch > 0
    for start in (0, 7, 29):
        other = Trainer(data, VOCABULARY, {**OPTIONS, **DROPS}, records=ends)
        assert library().textgen_run_check(blocks[start], c_uint64(len(blocks[start])), None) == 0
        other.restore(blocks[start])
        for i in range(start, 30):
            other.step(i / 30)
        assert other.block == trainer.block


def test_damaged_blocks_are_refused() -> None:
    trainer = Trainer(text(300), VOCABULARY, OPTIONS)
    block, core = trainer.block, library()
    rng, options = np.random.default_rng(2), bytes(trainer.run.options)
    for size in (0, 7, 200, len(block) - 1, len(block) + 1):
        assert core.textgen_run_check((block + b"\0")[:size], c_uint64(size), None) < 0
    counts = [0, 0, 0]
    for _ in range(2000):
        damaged = bytearray(block)
        for place in rng.integers(0, sizeof(Run), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        if core.textgen_run_check(bytes(damaged), c_uint64(len(damaged)), None) < 0:
            counts[0] += 1
        elif core.textgen_run_check_text(bytes(damaged), trainer.batches, VOCABULARY, None) < 0:
            counts[1] += 1
        else:
            counts[2] += 1
            # Another seed or place is as good as the right one. Other options need other working memory.
            if bytes(Run.from_buffer(damaged).options) == options:
                trainer.restore(bytes(damaged))
                trainer.step()
    assert min(counts) > 20, counts
    infinite = bytearray(block)
    infinite[-4:] = np.float32(np.inf).tobytes()
    assert core.textgen_run_check(bytes(infinite), c_uint64(len(infinite)), None) < 0


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    trainer = Trainer(text(300), VOCABULARY, OPTIONS)
    trainer.step()
    trainer.weights[5] = np.nan
    before = trainer.weights.tobytes()
    assert np.isnan(trainer.step())
    assert trainer.weights.tobytes() == before


@pytest.mark.parametrize("count", [2, 3, 9, 90, 91, 1000])
def test_each_token_of_a_text_is_a_target(count: int) -> None:
    data = np.arange(count).astype(np.int32)
    tokens = tokens_of(data)
    size = library().textgen_batches_size(byref(tokens), c_int64(10), c_int64(8))
    held, start = memory(size)
    batches = c_void_p(library().textgen_batches_init(start, byref(tokens), c_int64(10), c_int64(8)))
    lanes = library().textgen_batches_lanes(batches)
    assert lanes == max(1, min(10, count // 9))
    starts = set()
    for epoch in range(3):
        seen: list[int] = []
        last, total = np.empty(0), 0.0
        for index in range(library().textgen_batches_per_epoch(batches)):
            batch = (
                library().textgen_batches_get(batches, c_uint64(5), c_int64(epoch), c_int64(index)).contents
            )
            assert (batch.lanes, batch.is_start) == (lanes, index == 0)
            shape = batch.time, batch.lanes
            inputs, targets, places = (
                np.ctypeslib.as_array(array, shape) for array in (batch.inputs, batch.next, batch.places)
            )
            assert np.array_equal((inputs + 1) % count, targets)
            assert np.array_equal(places, targets)
            assert index == 0 or np.array_equal(inputs[0], last)
            if index == 0:
                starts.add(int(inputs[0, 0]))
            last = targets[-1].copy()
            seen += targets.flatten().tolist()
            total += batch.targets / batch.divisor
        assert len(seen) == len(set(seen)) == count // lanes * lanes - lanes
        assert total == pytest.approx(library().textgen_batches_per_epoch(batches))
    assert len(starts) > 1 or count < 9
    del held


@pytest.mark.parametrize(("count", "longest"), [(1, 3), (40, 5), (300, 40)])
def test_each_token_of_each_record_is_a_target(count: int, longest: int) -> None:
    data = records(count, longest)
    tokens = tokens_of(data, BEGIN, END)
    held, start = memory(library().textgen_batches_size(byref(tokens), c_int64(10), c_int64(8)))
    batches = c_void_p(library().textgen_batches_init(start, byref(tokens), c_int64(10), c_int64(8)))
    orders = set()
    for epoch in range(3):
        seen: list[int] = []
        for index in range(library().textgen_batches_per_epoch(batches)):
            batch = (
                library().textgen_batches_get(batches, c_uint64(5), c_int64(epoch), c_int64(index)).contents
            )
            shape = batch.time, batch.lanes
            assert batch.time * batch.lanes <= library().textgen_batches_rows(batches)
            inputs, targets, places = (
                np.ctypeslib.as_array(array, shape) for array in (batch.inputs, batch.next, batch.places)
            )
            is_target = targets >= 0
            assert batch.targets == is_target.sum() > 0
            assert np.array_equal(data[places[is_target]], targets[is_target])
            before = np.where(places == 0, END, data[places - 1])
            expected = np.where(before == END, BEGIN, before)
            assert np.array_equal(inputs[is_target], expected[is_target])
            seen += places[is_target].tolist()
        assert sorted(seen) == list(range(len(data)))
        orders.add(tuple(seen))
    assert len(orders) == 3 or count == 1
    del held


def single_pass(trainer: Trainer, tokens: NDArray[np.uint8], before: int) -> float:
    """Return the sum of the losses of a text, in nats, by a plain loop."""
    shape = trainer.shape
    weights = {
        (matrix.kind, matrix.layer): without_padding(shape, matrix, trainer.weights).astype(np.float64)
        for matrix in matrices(shape)
    }
    state = np.zeros((shape.layers, 2, shape.units))
    total = 0.0
    for token, target in zip([before, *tokens[:-1].tolist()], tokens.tolist(), strict=True):
        values = weights[0, 0][token]
        for layer in range(shape.layers):
            sums = np.einsum("i,igu->gu", values, weights[1, layer])
            sums += np.einsum("i,igu->gu", state[layer, 0], weights[2, layer]) + weights[3, layer][0]
            taken, output, forget = 1 / (1 + np.exp(-sums[:3]))
            state[layer, 1] = forget * state[layer, 1] + taken * np.tanh(sums[3])
            values = state[layer, 0] = output * np.tanh(state[layer, 1])
        logits = values @ weights[4, 0] + weights[5, 0][0]
        total += np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[target]
    return float(total)


@pytest.mark.parametrize("memory_of_weights", [False, True])
def test_a_score_is_that_of_a_single_pass(memory_of_weights: bool) -> None:
    trainer = Trainer(text(700), VOCABULARY, {**OPTIONS, **DROPS})
    for i in range(30):
        trainer.step(i / 30)
    if memory_of_weights:
        # Open forget gates: a state depends on all tokens before it, so lanes must run again.
        for matrix in matrices(trainer.shape):
            if matrix.kind == 3:
                without_padding(trainer.shape, matrix, trainer.weights)[0, 2] = 9.0
    held_out = text(5000, seed=2)
    assert trainer.score(held_out, 3) == pytest.approx(single_pass(trainer, held_out, 3), rel=1e-4)


def test_a_score_of_records_is_the_sum_of_their_scores() -> None:
    ends = BEGIN, END
    trainer = Trainer(records(90, 30), VOCABULARY, OPTIONS, records=ends)
    for i in range(30):
        trainer.step(i / 30)
    held_out = records(50, 40, seed=3)
    parts = np.split(held_out, np.flatnonzero(held_out == END) + 1)[:-1]
    total = sum(trainer.score(np.ascontiguousarray(part), BEGIN, ends) for part in parts)
    assert trainer.score(held_out, BEGIN, ends) == pytest.approx(total, rel=1e-6)


def test_options_out_of_range_are_refused() -> None:
    options = library().textgen_default_options()
    assert isinstance(options, Options)
    assert library().textgen_check_options(byref(options), None) == 0
    for name, value in (("units", 0), ("dropout", 1.0), ("dropout", float("nan")), ("muon_lr", -1.0)):
        options = library().textgen_default_options()
        setattr(options, name, value)
        assert library().textgen_check_options(byref(options), None) < 0


@pytest.mark.parametrize("options", [{}, {"layers": 3, "residual": 1}, {"layers": 1, "units": 5}])
def test_the_model_file_does_what_the_network_does(options: dict[str, float]) -> None:
    trainer = Trainer(text(700), VOCABULARY, {**OPTIONS, **options})
    for i in range(30):
        trainer.step(i / 30)
    symbols = "abcdefghijkl"
    metadata = Metadata(make_tokenizer("character", symbols, SpecialTokens()), Normalization())
    content = trainer.model_file(metadata.to_props())
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    held_out = text(300, seed=2)
    expected = trainer.score(held_out[1:].copy(), int(held_out[0]))
    for engine in ("native", "onnxruntime"):
        model = textgen.load(content, engine=engine)
        found = textgen.predict(model, "".join(symbols[token] for token in held_out))
        assert found.surprisals.sum() == pytest.approx(expected, rel=1e-5)
