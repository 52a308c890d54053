"""The sampler against plain statements of what it should do."""

import copy
import math
import os
import pickle
import signal
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray
from scipy import stats
from textgen_runtime import Sampler, SamplingError, entropy, reweight, softmax
from textgen_runtime._sampler import draw_at

# A statistical test that is right fails by chance once in this many runs; its seed is fixed anyway.
SIGNIFICANCE = 1e-3

LOGITS = np.array([2.0, -1.0, 0.5, 0.5, -3.0, 1.9], np.float32)

finite_logits = arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300, allow_nan=False, allow_infinity=False)
)
temperatures = st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.floats(0.05, 5.0))
uniforms = st.floats(0.0, 1.0, exclude_max=True)


GOLDEN = [18, 14, 15, 19, 19, 12, 10, 13, 16, 13, 18, 18, 11, 17, 2, 17, 19, 19, 18, 15]
GOLDEN_STREAM_3 = [10, 11, 14, 19, 18, 18, 19, 17, 9, 14, 16, 17, 14, 17, 19, 17, 16, 13, 12, 18]


def notebook_reweight(distribution: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """The textbook's ``reweight_distribution``, word for word in numpy."""
    weights = np.exp(np.log(distribution) / temperature)
    reweighted: NDArray[np.float64] = weights / np.sum(weights)
    return reweighted


def uniforms_of(seed: int, count: int, stream: int = 0) -> list[float]:
    """The project's uniforms, from numpy's integers."""
    source = PCG64(SeedSequence(seed, spawn_key=(stream,) if stream else ()))
    return [(int(raw) >> 11) / 2**53 for raw in source.random_raw(count)]


@pytest.mark.parametrize("temperature", [0.1, 0.2, 0.5, 1.0, 1.2, 5.0])
def test_reweight_is_the_textbook_function(temperature: float) -> None:
    distribution = np.random.default_rng(1).dirichlet(np.ones(59))
    expected = notebook_reweight(distribution, temperature)
    np.testing.assert_allclose(reweight(distribution, temperature), expected, rtol=1e-12, atol=1e-300)


def test_reweight_keeps_zeros_and_needs_no_sum_of_one() -> None:
    np.testing.assert_allclose(reweight([0.0, 2.0, 0.0, 6.0], 0.5), [0.0, 0.1, 0.0, 0.9])


def test_reweight_at_zero_gives_all_to_the_first_of_the_most_likely() -> None:
    assert reweight([0.2, 0.4, 0.4], 0).tolist() == [0.0, 1.0, 0.0]


@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e300)).filter(lambda a: bool(a.any())),
    temperatures,
)
def test_reweight_always_returns_a_distribution(weights: NDArray[np.float64], temperature: float) -> None:
    reweighted = reweight(weights, temperature)
    assert math.isclose(reweighted.sum(), 1.0, rel_tol=1e-9)
    assert (reweighted >= 0).all()
    assert not reweighted[weights == 0].any()


@pytest.mark.parametrize("bad", [[], [0.0, 0.0], [0.5, -0.1], [math.nan, 1.0], [math.inf, 1.0], [[0.5, 0.5]]])
def test_reweight_refuses_what_is_no_distribution(bad: Any) -> None:
    with pytest.raises(SamplingError):
        reweight(bad)


@given(finite_logits, temperatures)
def test_softmax_is_numpys_formula(logits: NDArray[np.float64], temperature: float) -> None:
    with np.errstate(over="ignore"):
        scaled = logits - logits.max()
        expected = (
            np.exp(scaled / temperature) if temperature else (np.arange(len(logits)) == logits.argmax())
        )
    np.testing.assert_allclose(softmax(logits, temperature), expected / expected.sum(), rtol=1e-12)


def test_entropy_is_of_a_distribution_and_in_bits() -> None:
    assert entropy(np.full(8, 0.125)) == pytest.approx(3.0)
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy([3.0, 1.0]) == pytest.approx(entropy([0.75, 0.25]))
    assert entropy([1e308, 1e308, 1e-320]) == pytest.approx(1.0)
    assert entropy([0.1] * 3) <= math.log2(3) + 1e-15
    for temperature in (0.0, 0.2, 0.7, 1.2):
        probabilities = softmax(LOGITS, temperature)
        expected = -sum(p * math.log2(p) for p in probabilities if p > 0)
        assert entropy(probabilities) == pytest.approx(expected, abs=1e-12)
        # The entropies of a distribution at several temperatures differ.
        assert entropy(reweight(softmax(LOGITS), temperature)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("wrong", [LOGITS, [0.5, math.nan], [0.0, 0.0], [0.5, math.inf], [], [[0.5, 0.5]]])
def test_entropy_and_reweight_refuse_the_same(wrong: Any) -> None:
    for function in (entropy, reweight):
        with pytest.raises(SamplingError, match="probabilities"):
            function(wrong)
    with pytest.raises(SamplingError, match=r"softmax\(logits\)"):
        entropy(LOGITS)


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 1.2, 3.0])
def test_draws_follow_the_softmax(temperature: float) -> None:
    rows = np.tile(LOGITS, (200_000, 1))
    counts = np.bincount(Sampler(temperature, seed=11).draw_rows(rows), minlength=len(LOGITS))
    expected = notebook_reweight(np.exp(LOGITS.astype(np.float64)), temperature) * len(rows)
    # The test wants at least a handful expected in each bin.
    rare = expected < 5
    assert counts[rare].sum() <= 30
    result = stats.chisquare(counts[~rare], expected[~rare] * counts[~rare].sum() / expected[~rare].sum())
    assert result.pvalue > SIGNIFICANCE


@pytest.mark.parametrize("stream", [0, 1, 5])
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_draws_invert_the_cumulative_distribution(temperature: float, stream: int) -> None:
    sampler = Sampler(temperature, seed=5, substream=stream)
    cumulative = np.cumsum(softmax(LOGITS, temperature))
    expected = [int(np.searchsorted(cumulative, u, side="right")) for u in uniforms_of(5, 500, stream)]
    assert [sampler.draw(LOGITS) for _ in range(500)] == expected


def test_golden_draws_never_change() -> None:
    logits = np.linspace(-2, 2, 20)
    sampler = Sampler(0.8, seed=2024)
    assert [sampler.draw(logits) for _ in range(20)] == GOLDEN
    assert Sampler(0.8, seed=2024).draw_rows(np.tile(logits, (20, 1))).tolist() == GOLDEN
    third = Sampler(0.8, seed=2024, substream=3)
    assert [third.draw(logits) for _ in range(20)] == GOLDEN_STREAM_3


@given(finite_logits, temperatures, uniforms)
def test_a_draw_is_a_possible_token(logits: NDArray[np.float64], temperature: float, uniform: float) -> None:
    token = draw_at(logits, temperature, uniform)
    assert softmax(logits, temperature)[token] > 0


@given(st.integers(1, 60), st.integers(0, 2**32), uniforms)
def test_a_draw_is_never_an_impossible_token(size: int, seed: int, uniform: float) -> None:
    random = np.random.default_rng(seed)
    logits = np.where(random.random(size) < 0.7, -np.inf, random.normal(size=size))
    logits[random.integers(size)] = 0.0
    for extreme in (uniform, 0.0, 1.0 - 2.0**-53):
        assert np.isfinite(logits[draw_at(logits, 1.0, extreme)])


def test_the_walk_ends_at_both_ends_of_the_unit_interval() -> None:
    # All the mass at both ends; the middle is impossible.
    logits = [0.0, -math.inf, -math.inf, 0.0, -math.inf]
    assert draw_at(logits, 1.0, 0.0) == 0
    assert draw_at(logits, 1.0, math.nextafter(0.5, 0)) == 0
    assert draw_at(logits, 1.0, 0.5) == 3
    assert draw_at(logits, 1.0, 1.0 - 2.0**-53) == 3


def test_temperature_zero_takes_the_lowest_id_of_equals_and_one_uniform() -> None:
    sampler = Sampler(0, seed=9)
    assert [sampler.draw([1.0, 7.0, 7.0, 2.0]) for _ in range(3)] == [1, 1, 1]
    sampler.temperature = 1.0
    expected = Sampler(1.0, seed=9)
    for _ in range(3):
        expected.draw(LOGITS)
    assert [sampler.draw(LOGITS) for _ in range(50)] == [expected.draw(LOGITS) for _ in range(50)]


@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ([0.0, math.nan], "NaN"),
        ([math.nan, 0.0], "NaN"),
        ([math.inf, 0.0], "inf"),
        ([math.inf, math.inf], "inf"),
        ([-math.inf, -math.inf], "no token"),
        ([], "non-empty"),
        ([[0.0, 1.0]], "dimension"),
        (0.0, "dimension"),
    ],
)
def test_logits_that_nothing_can_be_drawn_from(bad: Any, word: str, temperature: float) -> None:
    with pytest.raises(SamplingError, match=word):
        Sampler(temperature).draw(bad)
    with pytest.raises(SamplingError, match=word):
        softmax(bad, temperature)


def test_one_bad_row_is_an_error() -> None:
    with pytest.raises(SamplingError, match="NaN"):
        Sampler().draw_rows(np.array([[0.0, 1.0], [0.0, math.nan], [0.0, 1.0]]))


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, -math.inf])
def test_bad_temperatures(bad: float) -> None:
    for call in (lambda: Sampler(bad), lambda: reweight([1.0], bad), lambda: softmax([1.0], bad)):
        with pytest.raises(SamplingError, match="temperature"):
            call()
    sampler = Sampler(0.7)
    with pytest.raises(SamplingError, match="temperature"):
        sampler.temperature = bad
    assert sampler.temperature == 0.7


def test_bad_seeds() -> None:
    for seed in (-1, 2**128, 10**5000):
        with pytest.raises(SamplingError, match="seed must be from 0 to"):
            Sampler(1.0, seed)
    for substream in (-1, 2**32):
        with pytest.raises(SamplingError, match="substream must be from 0 to"):
            Sampler(1.0, 0, substream)
    with pytest.raises(TypeError):
        Sampler(1.0, 1.5)  # type: ignore[arg-type]


def test_the_largest_seed_has_streams_of_its_own() -> None:
    """In numpy, seed 2**128 + 7 is substream 1 of seed 7: its entropy is the same."""
    rows = np.tile(LOGITS, (50, 1))
    drawn = {
        tuple(Sampler(1.0, seed, substream).draw_rows(rows))
        for seed in (7, 2**127 + 7, 2**128 - 1)
        for substream in (0, 1, 2**32 - 1)
    }
    assert len(drawn) == 9


@pytest.mark.parametrize("bad", [-0.01, 1.0, math.nan])
def test_bad_uniforms(bad: float) -> None:
    with pytest.raises(SamplingError, match="uniform"):
        draw_at(LOGITS, 1.0, bad)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, list, ">f4", "strided"])
def test_any_array_of_numbers_is_read_and_none_is_changed(kind: Any) -> None:
    values = [3.0, 1.0, 2.0, -4.0]
    if kind is list:
        given_logits: Any = list(values)
    elif kind == "strided":
        given_logits = np.repeat(np.array(values), 2)[::2]
    else:
        given_logits = np.array(values, kind)
        given_logits.flags.writeable = False
    expected = Sampler(0.9, seed=3)
    sampler = Sampler(0.9, seed=3)
    wanted = [expected.draw(np.array(values)) for _ in range(100)]
    assert [sampler.draw(given_logits) for _ in range(100)] == wanted
    np.testing.assert_allclose(softmax(given_logits), softmax(values))
    assert list(given_logits) == values


def test_rows_may_be_read_only_and_not_contiguous() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 50)).T
    rows.flags.writeable = False
    one_by_one = Sampler(1.0, seed=1)
    assert Sampler(1.0, seed=1).draw_rows(rows).tolist() == [one_by_one.draw(row.copy()) for row in rows]


def test_streams_of_a_seed_are_different_and_a_state_can_be_handed_on() -> None:
    texts = [tuple(Sampler(1.0, seed=4, substream=i).draw_rows(np.tile(LOGITS, (40, 1)))) for i in range(5)]
    assert len(set(texts)) == 5
    first = Sampler(1.0, seed=4)
    first.draw(LOGITS)
    assert first.position == 1
    second = Sampler(1.0, seed=4)
    second.position = first.position
    assert [second.draw(LOGITS) for _ in range(30)] == [first.draw(LOGITS) for _ in range(30)]


def test_a_position_is_where_the_stream_stands() -> None:
    sampler = Sampler(1.0, seed=4, substream=2)
    rows = np.tile(LOGITS, (20, 1))
    drawn = sampler.draw_rows(rows).tolist()
    assert sampler.position == 20
    sampler.position = 5
    assert [sampler.draw(LOGITS) for _ in range(15)] == drawn[5:]
    sampler.position = 0
    assert sampler.draw_rows(rows).tolist() == drawn
    for bad in (-1, 2**63):
        with pytest.raises(SamplingError, match="position"):
            sampler.position = bad
    assert sampler.position == 20


def test_the_random_stream_ends_at_the_last_position() -> None:
    sampler = Sampler(1.0, seed=4)
    sampler.position = 2**63 - 2
    sampler.draw(LOGITS)
    assert sampler.position == 2**63 - 1
    with pytest.raises(SamplingError, match="used up"):
        sampler.draw(LOGITS)
    sampler.position = 2**63 - 3
    with pytest.raises(SamplingError, match="used up"):
        sampler.draw_rows(np.tile(LOGITS, (3, 1)))
    assert sampler.position == 2**63 - 1


def test_copies_and_pickles_go_on_from_where_they_were_made() -> None:
    sampler = Sampler(0.7, seed=4, substream=2)
    sampler.draw_rows(np.tile(LOGITS, (33, 1)))
    twins = [copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))]  # noqa: S301
    expected = [sampler.draw(LOGITS) for _ in range(40)]
    for twin in twins:
        assert (twin.temperature, twin.seed, twin.substream, twin.position) == (0.7, 4, 2, 33)
        assert [twin.draw(LOGITS) for _ in range(40)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_draws_on_while_a_thread_drew() -> None:
    """The thread holds the sampler's lock and is not there in the child to release it."""
    rows, wide = np.zeros((400_000, 64), np.float32), 400_000
    # It is tried again should this thread not have run while the other one drew.
    for _ in range(20):
        sampler = Sampler(1.0, seed=6)
        thread = threading.Thread(target=sampler.draw_rows, args=(rows,))
        thread.start()
        while not sampler.position:
            pass
        child = os.fork()
        if not child:
            signal.alarm(60)
            try:
                position = sampler.position
                drawn = [sampler.draw(rows[0]) for _ in range(50)]
                expected = Sampler(1.0, seed=6)
                expected.position = position
                right = drawn == [expected.draw(rows[0]) for _ in range(50)]
                os._exit((2 if position == wide else 0) if right else 1)
            finally:
                os._exit(3)
        thread.join()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 2:
            break
    assert code == 0


def test_threads_may_share_a_sampler() -> None:
    """Draws take turns: together the threads draw exactly what one of them alone would."""
    workers, calls = 8, 300
    wide = np.random.default_rng(0).normal(size=(40, 200))
    shared, alone = Sampler(1.0, seed=6), Sampler(1.0, seed=6)
    together = threading.Barrier(workers)
    drawn: list[int] = []

    def work() -> None:
        together.wait()
        for _ in range(calls):
            drawn.extend(shared.draw_rows(wide).tolist())

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [token for _ in range(workers * calls) for token in alone.draw_rows(wide).tolist()]
    assert shared.position == alone.position
    assert Counter(drawn) == Counter(expected)
