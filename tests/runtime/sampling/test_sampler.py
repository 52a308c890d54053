"""The sampler draws each token with its probability, from a random stream, and rejects invalid logits."""

import math
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from textgen_runtime import Sampler, Sampling, SamplingError, reweight, softmax
from textgen_runtime.sampler import draw_with

from tests.helpers.sampler_cases import GOLDEN, GOLDEN_SUBSTREAM_3

LOGITS = np.array([2.0, -1.0, 0.5, 0.5, -3.0, 1.9], np.float32)
BIAS_OR_INFINITY = "a number from -100 to 100, or -inf to forbid it"


def test_golden_draws_never_change() -> None:
    logits = np.linspace(-2, 2, 20)
    sampler = Sampler(0.8, seed=2024)
    assert [sampler.draw(logits) for _ in range(20)] == GOLDEN
    assert Sampler(0.8, seed=2024).draw_batch(np.tile(logits, (20, 1))).tolist() == GOLDEN
    third = Sampler(0.8, seed=2024, substream=3)
    assert [third.draw(logits) for _ in range(20)] == GOLDEN_SUBSTREAM_3


def test_temperature_zero_draws_the_lowest_id_of_a_tie_and_uses_one_uniform() -> None:
    sampler = Sampler(0, seed=9)
    assert [sampler.draw([1.0, 7.0, 7.0, 2.0]) for _ in range(3)] == [1, 1, 1]
    sampler.sampling = Sampling(temperature=1.0)
    expected = Sampler(1.0, seed=9)
    for _ in range(3):
        expected.draw(LOGITS)
    assert [sampler.draw(LOGITS) for _ in range(50)] == [expected.draw(LOGITS) for _ in range(50)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.0, math.nan], "NaN"),
        ([math.inf, 0.0], "inf"),
        ([-math.inf, -math.inf], "logits"),
        ([], "non-empty"),
        ([[0.0, 1.0]], "dimension"),
        (0.0, "dimension"),
    ],
)
def test_invalid_logits_are_an_error(bad: Any, message: str) -> None:
    for call in (
        Sampler(0.5).draw,
        Sampler(0.0).draw,
        softmax,
        lambda row: Sampler().draw_batch(np.array([row])),
    ):
        with pytest.raises(SamplingError, match=message):
            call(bad)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, -math.inf, 10**400])
def test_a_temperature_out_of_range_is_an_error(bad: float) -> None:
    for call in (lambda: Sampler(bad), lambda: reweight([1.0], bad), lambda: softmax([1.0], bad)):
        with pytest.raises(SamplingError, match="temperature must be a finite number, 0 or more") as caught:
            call()
        assert caught.value.parameter == "temperature"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_p": 1.5}, "top_p must be a number more than 0, at most 1, not 1.5"),
        ({"stop": "a"}, "stop needs a model: pass it to a function of Model, not a Sampler"),
        ({"min_length": 3}, "min_length needs a model"),
        *(({"seed": bad}, "seed must be from 0 to") for bad in (-1, 2**128, 10**5000)),
        ({"substream": 2**32}, "substream must be from 0 to"),
        ({"logit_bias": {-1: 1.0}}, "a token of logit_bias must be from 0 to 2147483647, not -1"),
        ({"logit_bias": {2**31: 1.0}}, "a token of logit_bias must be from 0 to"),
        *[
            ({"logit_bias": {3: bad}}, f"the logit_bias of token 3 must be {BIAS_OR_INFINITY}, not {bad}")
            for bad in (100.5, -101, math.nan, math.inf)
        ],
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SamplingError, match=f"^{message}") as caught:
        Sampler(**options)
    assert caught.value.parameter in options


@pytest.mark.parametrize(
    "options",
    [
        {"topk": 3},
        {"temperature": None},
        {"seed": 1.5},
        *[{"logit_bias": bad} for bad in (5, {"a": 1.0}, {1: "a"}, {1.5: 1.0}, [3])],
    ],
)
def test_an_argument_of_the_wrong_type_is_a_type_error(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Sampler(**options)


def test_the_biases_are_sorted_pairs_without_those_that_are_0() -> None:
    sampler = Sampler(logit_bias={7: 1, 2: -math.inf, 3: 0.0})
    assert sampler.logit_bias == ((2, -math.inf), (7, 1.0))
    assert Sampler(logit_bias=[(7, 1.0), (2, -math.inf)]).logit_bias == sampler.logit_bias
    assert sampler.sampling == Sampling()


def test_the_repr_of_a_sampler_shows_its_parameters() -> None:
    assert repr(Sampler(0.7, 3)) == "Sampler(temperature=0.7, seed=3, substream=0)"
    shown = "Sampler(temperature=0.7, top_k=4, seed=3, substream=0, logit_bias=((1, 2.0),))"
    assert repr(Sampler(0.7, 3, top_k=4, logit_bias={1: 2.0})) == shown


@pytest.mark.parametrize("bad", [-0.01, 1.0, math.nan])
def test_a_uniform_out_of_range_is_an_error(bad: float) -> None:
    with pytest.raises(SamplingError, match="uniform"):
        draw_with(LOGITS, 1.0, bad)


VALUES = [3.0, 1.0, 2.0, -4.0]
# Strided and misaligned arrays, and those of another type, are converted by numpy.
FORMS: dict[str, Any] = {
    "list": VALUES,
    "array": array("d", VALUES),
    "view": memoryview(array("f", VALUES)),
    "strided view": memoryview(array("d", np.repeat(VALUES, 2)))[::2],
    "misaligned": np.frombuffer(b"\0" + np.array(VALUES, np.float32).tobytes(), np.float32, offset=1),
    "strided": np.repeat(np.array(VALUES), 2)[::2],
    **{str(kind): np.array(VALUES, kind) for kind in (np.float16, np.float32, np.float64, np.int64, ">f4")},
}


@pytest.mark.parametrize("logits", FORMS.values(), ids=FORMS.keys())
def test_logits_of_any_form_are_accepted_and_not_changed(logits: Any) -> None:
    expected, sampler = Sampler(0.9, seed=3), Sampler(0.9, seed=3)
    if isinstance(logits, np.ndarray):
        logits.flags.writeable = False
    tokens = [expected.draw(np.array(VALUES)) for _ in range(50)]
    assert [sampler.draw(logits) for _ in range(50)] == tokens
    np.testing.assert_allclose(softmax(logits), softmax(VALUES))
    assert list(logits) == VALUES


def test_a_sampler_that_draws_refuses_every_other_use() -> None:
    """A batch is drawn without the GIL."""
    sampler, rows = Sampler(1.0, top_k=3), np.zeros((100_000, 40), np.float32)
    refusals: list[str] = []

    def draw() -> int:
        """Draw batches until another use was refused. Return their number."""
        count = 0
        while not refusals and count < 200:
            sampler.draw_batch(rows)
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(draw)
        while not (drawing.done() or refusals):
            try:
                sampler.probabilities(rows[0])
            except RuntimeError as error:
                refusals.append(str(error))
    assert refusals == ["another thread uses this sampler: lock it, or give each thread its own"]
    assert sampler.position == 100_000 * drawing.result()


def test_a_position_can_be_set_forwards_and_backwards() -> None:
    sampler = Sampler(1.0, seed=4, substream=2)
    rows = np.tile(LOGITS, (20, 1))
    drawn = sampler.draw_batch(rows).tolist()
    assert sampler.position == 20
    sampler.position = 5
    assert [sampler.draw(LOGITS) for _ in range(15)] == drawn[5:]
    sampler.position = 0
    assert sampler.draw_batch(rows).tolist() == drawn
    for bad in (-1, 2**63):
        with pytest.raises(SamplingError, match="position"):
            sampler.position = bad
    assert sampler.position == 20


def test_a_draw_at_the_last_position_is_an_error() -> None:
    sampler = Sampler(1.0, seed=4)
    sampler.position = 2**63 - 2
    sampler.draw(LOGITS)
    assert sampler.position == 2**63 - 1
    with pytest.raises(SamplingError, match="random numbers"):
        sampler.draw(LOGITS)
    sampler.position = 2**63 - 3
    with pytest.raises(SamplingError, match="random numbers"):
        sampler.draw_batch(np.tile(LOGITS, (3, 1)))
    assert sampler.position == 2**63 - 1
    other = Sampler(1.0, seed=4)
    other.position = sampler.position
    assert other.position == 2**63 - 1


ROWS = np.random.default_rng(14).normal(0, 2, (300, 30))


@pytest.mark.parametrize(
    "options", [{"top_k": 4}, {"logit_bias": {3: 2.0}}, {"presence_penalty": 1.0, "logit_bias": {3: 2.0}}]
)
def test_new_filters_take_effect_at_the_next_draw(options: dict[str, Any]) -> None:
    sampler, expected = Sampler(0.9, 5), Sampler(0.9, 5, **options)
    sampler.draw_batch(ROWS[:20])
    sampler.sampling, sampler.logit_bias = expected.sampling, expected.logit_bias
    expected.position = 20
    assert sampler.draw_batch(ROWS[20:]).tolist() == expected.draw_batch(ROWS[20:]).tolist()
    sampler.sampling, sampler.logit_bias = Sampling(temperature=0.9), ()
    plain = Sampler(0.9, 5)
    plain.position = 300
    assert sampler.draw_batch(ROWS).tolist() == plain.draw_batch(ROWS).tolist()


def test_parameters_that_are_refused_change_nothing() -> None:
    sampler = Sampler(0.9, 5, top_k=4, logit_bias={2: 1.0})
    sampler.draw(ROWS[0])
    bad: Any
    for bad in ({30: 1.0}, dict.fromkeys(range(30), -math.inf)):
        with pytest.raises(SamplingError) as caught:
            sampler.logit_bias = bad
        assert caught.value.parameter == "logit_bias"
    with pytest.raises(SamplingError, match="match needs a model"):
        sampler.sampling = Sampling(match="a")
    for bad in ({"top_k": 3}, None):
        with pytest.raises(TypeError, match="sampling must be a Sampling, not "):
            sampler.sampling = bad
    assert (sampler.sampling, sampler.logit_bias) == (Sampling(temperature=0.9, top_k=4), ((2, 1.0),))


def test_the_vocabulary_may_change_between_draws() -> None:
    """Logits of another size begin with new filters."""
    sampler, expected = Sampler(1.0, 5, top_k=2), Sampler(1.0, 5)
    tokens = [sampler.draw([0.0] * size) for size in (2, 7, 2, 300, 1)]
    assert tokens == [expected.draw([0.0] * min(size, 2)) for size in (2, 7, 2, 300, 1)]
    counting = Sampler(1.0, 5, presence_penalty=-100.0)
    first = counting.draw([0.0] * 9)
    assert [counting.draw([0.0] * 9) for _ in range(5)] == [first] * 5
    assert counting.probabilities([0.0] * 4).tolist() == [0.25] * 4
