"""The gradient of a part of a batch, compared with torch in float64."""

import ctypes
import random
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char_p, c_ssize_t, c_void_p, cast
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import log_softmax

from .trainer import (
    Part,
    Regularization,
    Shape,
    Teacher,
    address,
    kernels,
    library,
    matrices,
    memory,
    padded_units,
    tokens_of,
    without_padding,
)

EMBEDDING, INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIAS, OUTPUT_WEIGHTS, OUTPUT_BIAS = range(6)
INPUTS, OUTPUTS, WEIGHTS = range(3)
KERNELS = ("avx512", "avx2", "baseline")
BFLOAT16 = ("amx", "avx512bf16")
# Of the largest value of each gradient. bfloat16 has 8 bits, so each number that is multiplied has an error
# of up to 1/512, and the states of many steps have the errors of those before.
MAX_ERROR = 2e-5
WEIGHT = 0.7  # of a teacher
MAX_BFLOAT16_ERROR = 0.08


class Case(NamedTuple):
    """A network and what it learns."""

    shape: Shape
    time: int = 9
    lanes: int = 5
    regularization: Regularization = Regularization()
    padding: float = 0.0
    shares: int = 0


CASES = {
    "two layers": Case(Shape(57, 16, 88, 2, False), time=24, lanes=8),
    "sizes that need padding": Case(Shape(33, 5, 50, 3, True), time=7, padding=0.3),
    "one unit": Case(Shape(2, 1, 1, 1, False), time=3, lanes=1),
    "everything": Case(
        Shape(57, 16, 40, 3, True), 12, 9, Regularization(0.2, 0.1, 0.3, 4.0, 0.1), padding=0.3, shares=5
    ),
    "a teacher of all tokens": Case(Shape(30, 4, 8, 1, False), 12, 9, padding=0.3, shares=30),
    "logits in several parts": Case(Shape(5000, 8, 24, 1, False), time=9, lanes=5),
    "more rows than are multiplied at once": Case(Shape(20, 300, 264, 1, False), time=33, lanes=8),
}


def mask(key: int, purpose: int, layer: int, share: float, count: int) -> NDArray[np.float64]:
    """Return what the elements are multiplied by: 0, or the inverse of the share that is kept."""
    bits = 2**64 - 1
    mixed = (key + 0x9E3779B97F4A7C15 * (3 * layer + purpose + 1)) & bits
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & bits
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & bits
    hashes = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(
        (mixed ^ (mixed >> 31)) & 0xFFFFFFFF
    )
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        hashes = (hashes ^ (hashes >> np.uint32(shift))) * np.uint32(factor)
    hashes ^= hashes >> np.uint32(16)
    threshold = int(65536 * np.float32(share) + 0.5)
    return np.asarray(hashes >> np.uint32(16) >= threshold, np.float64) * (65536 / (65536 - threshold))


class Data:
    """Random weights, tokens and states of a case."""

    def __init__(self, case: Case) -> None:
        shape, rng = case.shape, np.random.default_rng(3)
        self.case, self.rng = case, rng
        self.stride: int = library().textgen_state_stride(byref(shape))
        size = library().textgen_weight_count(byref(shape))
        # Kernels may read a vector past the last number.
        self.weights = np.zeros(size + 16, np.float32)
        for matrix in matrices(shape):
            values = without_padding(shape, matrix, self.weights)
            values[...] = rng.normal(size=values.shape) * (0.3 if matrix.kind else 1.0)
        self.state = np.zeros((shape.layers, 2, case.lanes, self.stride), np.float32)
        self.state[..., : shape.units] = rng.normal(size=(*self.state.shape[:3], shape.units)) * 0.3
        places = case.time, case.lanes
        self.tokens = rng.integers(0, shape.vocabulary, places).astype(np.int32)
        self.targets = rng.integers(0, shape.vocabulary, places).astype(np.int32)
        self.targets[rng.random(places) < case.padding] = -1
        # The predictions, in the order of the text. Those of all tokens have sums of more than 1.
        columns, is_all = case.shares, case.shares == shape.vocabulary
        shares = rng.dirichlet(np.full(columns + (not is_all), 0.3), self.tokens.size)[:, :columns]
        self.shares = np.ceil(shares * 65535).astype(np.uint16)
        self.share_tokens = np.array(
            [
                np.arange(columns) if is_all else rng.permutation(shape.vocabulary)[:columns]
                for _ in range(self.tokens.size)
            ],
            np.uint16,
        )
        self.places = rng.permutation(self.tokens.size).reshape(places)
        shared = tokens_of(self.share_tokens)
        shared.data = None if is_all else shared.data
        self.teacher = Teacher(self.shares.ctypes.data, shared, columns, WEIGHT)
        self.key, self.scale = random.Random(5).getrandbits(63), 1 / 100

    def gradient(self, name: str) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """Return the loss, the gradient and the next state of the kernels of this name."""
        case, core = self.case, library()
        sizes = c_ssize_t(case.time * case.lanes), c_ssize_t(case.lanes)
        held, start = memory(core.textgen_learner_size(byref(case.shape), *sizes))
        learner = c_void_p(
            core.textgen_learner_init(
                start, byref(case.shape), kernels(name, is_bfloat16=name in BFLOAT16), *sizes
            )
        )
        state, gradient = self.state.copy(), np.full_like(self.weights, np.nan)
        part = Part(
            case.time,
            case.lanes,
            address(self.tokens),
            address(self.targets),
            case.lanes,
            address(state),
            self.scale,
            self.key,
            c_void_p(ctypes.addressof(self.teacher)) if case.shares else None,
            address(self.places),
        )
        core.textgen_learner_load(learner, address(self.weights), byref(case.regularization))
        loss = core.textgen_learner_gradient(learner, address(self.weights), byref(part), address(gradient))
        del held
        return loss, gradient, state

    def expected(self) -> tuple[float, dict[tuple[int, int], Tensor], NDArray[np.float64]]:
        """Return the same as torch computes it."""
        case, shape = self.case, self.case.shape
        units, regularization = shape.units, case.regularization
        weights = {
            (matrix.kind, matrix.layer): torch.tensor(
                without_padding(shape, matrix, self.weights), dtype=torch.float64, requires_grad=True
            )
            for matrix in matrices(shape)
        }

        def dropped(
            values: Tensor, purpose: int, layer: int, share: float, padded: tuple[int, ...]
        ) -> Tensor:
            if not share:
                return values
            kept = mask(self.key, purpose, layer, share, int(np.prod(padded))).reshape(padded)
            return values * torch.tensor(kept[tuple(slice(size) for size in values.shape)])

        places = case.time, case.lanes
        inputs = weights[EMBEDDING, 0][torch.tensor(self.tokens, dtype=torch.long)]
        padded = -(-shape.embedding // 16) * 16
        inputs = dropped(inputs, INPUTS, 0, regularization.input_dropout, (*places, padded))
        states = []
        for layer in range(shape.layers):
            recurrent = dropped(
                weights[RECURRENT_WEIGHTS, layer],
                WEIGHTS,
                layer,
                regularization.weight_dropout,
                (units, 4, padded_units(shape)),
            )
            hidden, cell = torch.tensor(self.state[layer, ..., :units], dtype=torch.float64)
            outputs = []
            for time in range(case.time):
                sums = torch.einsum("li,igu->glu", inputs[time], weights[INPUT_WEIGHTS, layer])
                sums = sums + torch.einsum("li,igu->glu", hidden, recurrent)
                sums = sums + weights[BIAS, layer].transpose(0, 1)
                taken, output, forget = torch.sigmoid(sums[:3])
                cell = forget * cell + taken * torch.tanh(sums[3])
                hidden = output * torch.tanh(cell)
                outputs.append(hidden)
            states.append(torch.stack([hidden, cell]))
            joined = dropped(
                torch.stack(outputs), OUTPUTS, layer, regularization.dropout, (*places, self.stride)
            )
            inputs = joined + inputs if shape.residual and layer else joined
        is_target = torch.tensor(self.targets >= 0)
        logits = inputs @ weights[OUTPUT_WEIGHTS, 0] + weights[OUTPUT_BIAS, 0]
        predictions = log_softmax(logits, 2)[is_target]
        targets = torch.tensor(self.targets, dtype=torch.long)[is_target].unsqueeze(1)
        wanted = torch.zeros_like(predictions)
        divisors = np.maximum(self.shares.sum(1, keepdims=True, dtype=np.int64), 65535)
        shares = torch.tensor((WEIGHT * self.shares / divisors)[self.places])[is_target]
        share_tokens = torch.tensor(self.share_tokens.astype(np.int64)[self.places])[is_target]
        wanted.scatter_add_(1, share_tokens, shares)
        wanted.scatter_add_(1, targets, 1 - shares.sum(1, keepdim=True))
        loss = -(wanted * predictions).sum()
        loss = loss + regularization.activation_penalty * inputs[is_target].square().mean(1).sum()
        loss = loss + regularization.confidence_penalty * (predictions.exp() * predictions).sum()
        (loss * self.scale).backward()
        gradients = {key: weight.grad for key, weight in weights.items() if weight.grad is not None}
        return -predictions.gather(1, targets).sum().item(), gradients, torch.stack(states).detach().numpy()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradients_are_those_of_torch(case: Case) -> None:
    data = Data(case)
    expected_loss, expected, expected_state = data.expected()
    results: dict[bool, Any] = {}
    for name in KERNELS + BFLOAT16:
        if not kernels(name, is_bfloat16=name in BFLOAT16):
            continue
        max_error = MAX_BFLOAT16_ERROR if name in BFLOAT16 else MAX_ERROR
        loss, gradient, state = data.gradient(name)
        assert loss == pytest.approx(expected_loss, rel=max_error / 100)
        assert np.abs(state[..., : case.shape.units] - expected_state).max() < max_error
        for matrix in matrices(case.shape):
            wanted = expected[matrix.kind, matrix.layer].numpy()
            found = without_padding(case.shape, matrix, gradient)
            assert np.abs(found - wanted).max() <= max_error * np.abs(wanted).max(), (name, matrix.kind)
            found[...] = 0
        # What is left is padding.
        assert not gradient[: library().textgen_weight_count(byref(case.shape))].any()
        if name in BFLOAT16:
            continue
        gradient = data.gradient(name)[1]
        # Sets with fused multiply-adds give the same bits.
        same = results.setdefault(name != "baseline", gradient)
        assert np.array_equal(gradient, same, equal_nan=True)


class Products(Structure):
    """The first fields of ``textgen_learn_kernels``."""

    _fields_: ClassVar = [("name", c_char_p)] + [
        (name, CFUNCTYPE(None, *arguments))
        for name, arguments in (
            ("pack", [c_void_p, c_ssize_t, c_ssize_t, c_ssize_t, c_void_p]),
            ("pack_transposed", [c_void_p, c_ssize_t, c_ssize_t, c_ssize_t, c_void_p]),
            (
                "multiply",
                [c_void_p, *[c_ssize_t] * 2, c_void_p, *[c_ssize_t] * 2, c_void_p, c_ssize_t, c_bool],
            ),
            (
                "multiply_transposed",
                [*[c_void_p, c_ssize_t, c_ssize_t] * 2, c_ssize_t, c_void_p, c_ssize_t, c_void_p, c_void_p],
            ),
        )
    ]


@pytest.mark.parametrize("name", KERNELS + BFLOAT16)
@pytest.mark.parametrize("rows", [1, 8, 21, 33, 75])
@pytest.mark.parametrize("depth", [1, 16, 50, 300])
@pytest.mark.parametrize("columns", [16, 64, 176])
def test_products_are_exact_to_rounding(name: str, rows: int, depth: int, columns: int) -> None:
    found = kernels(name, is_bfloat16=name in BFLOAT16)
    if not found:
        pytest.skip(f"this processor has no {name}")
    products = cast(found, POINTER(Products)).contents
    rng = np.random.default_rng(rows)

    def matrix(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return a matrix with the padding of its rows, and what kernels multiply."""
        padded = np.full((height + 1, -(-width // 16) * 16), np.nan, np.float32)[:height]
        padded[...] = 0
        padded[:, :width] = rng.normal(size=(height, width))
        used = torch.tensor(padded[:, :width])
        used = used.bfloat16() if name in BFLOAT16 else used
        return padded, used.double().numpy()

    def check(
        result: NDArray[np.float32], a: NDArray[np.float64], b: NDArray[np.float64], before: float
    ) -> None:
        bound = np.abs(a) @ np.abs(b) + abs(before)
        assert (np.abs(result - (a @ b + before)) <= 2**-22 * len(b) ** 0.5 * bound).all()

    a, a_used = matrix(rows, depth)
    b, b_used = matrix(depth, columns)
    packed = np.full((depth + 16) * (columns + 16), np.nan, np.float32)
    transposed, transposed_used = matrix(columns - 3, depth)
    for pack, source, used in (
        (products.pack, b, b_used),
        (products.pack_transposed, transposed, transposed_used.T),
    ):
        places = c_ssize_t(depth), c_ssize_t(used.shape[1])
        pack(address(source), source.shape[1], *places, address(packed))
        for before in (0.0, 3.0):
            result = np.full((rows, columns), before, np.float32)
            products.multiply(
                address(a), a.shape[1], rows, address(packed), *places, address(result), columns, before != 0
            )
            width = places[1].value
            check(result[:, :width], a_used, used, before)
            assert (result[:, width:] == before).all()
    a, a_used = matrix(depth, rows)
    b, b_used = matrix(depth, columns)
    result, sums = np.full((rows + 1, columns), 3.0, np.float32), np.full(columns, 2.0, np.float32)
    scratch = np.full(128 * (rows + columns + 32), np.nan, np.float32)
    products.multiply_transposed(
        address(a),
        a.shape[1],
        rows,
        address(b),
        columns,
        columns,
        depth,
        address(result),
        columns,
        address(sums),
        address(scratch),
    )
    check(result[:rows], a_used.T, b_used, 3.0)
    assert (result[rows] == 3.0).all()
    assert np.abs(sums - 2.0 - b.astype(np.float64).sum(0)).max() < 1e-6 * depth


def test_kernels_have_the_precision_that_is_wanted() -> None:
    for name in (*KERNELS, *BFLOAT16):
        assert not kernels(name, is_bfloat16=name not in BFLOAT16)
