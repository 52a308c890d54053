"""The state of the filters can be read, set, copied, shared by threads and taken over by a forked process."""

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
from textgen_runtime import Filters, FilterState, Sampler, SamplingError

ROWS = np.random.default_rng(14).normal(0, 2, (300, 30))
CHAIN: dict[str, Any] = {
    "repetition_penalty": 1.3,
    "frequency_penalty": 0.2,
    "penalty_window": 20,
    "top_k": 25,
    "logit_bias": {4: -math.inf},
}
MIROSTAT: dict[str, Any] = {"mirostat_tau": 2.5, "presence_penalty": 0.3}


def draws(sampler: Sampler, first: int, last: int) -> list[int]:
    return [sampler.draw(row) for row in ROWS[first:last]]


@pytest.mark.parametrize("options", [CHAIN, MIROSTAT], ids=["chain", "mirostat"])
def test_a_restored_state_continues_exactly(options: dict[str, Any]) -> None:
    sampler = Sampler(0.9, 5, substream=2, **options)
    draws(sampler, 0, 100)
    # Setting the state before or after the first draw gives the same.
    new, used = Sampler(0.9, 5, substream=2, **options), Sampler(0.9, 5, substream=2, **options)
    draws(used, 100, 150)
    for other in (new, used):
        other.position, other.filter_state = sampler.position, sampler.filter_state
        assert other.filter_state == sampler.filter_state
    expected = draws(sampler, 100, 300)
    for other in (new, used):
        assert draws(other, 100, 300) == expected
        assert other.filter_state == sampler.filter_state
    without = Sampler(0.9, 5, substream=2, **options)
    without.position = 100
    assert draws(without, 100, 300) != expected


@pytest.mark.parametrize("options", [{}, CHAIN, MIROSTAT], ids=["no filters", "chain", "mirostat"])
@pytest.mark.parametrize("before", [0, 70])
def test_copies_and_pickles_continue_the_random_stream_and_the_filters(
    options: dict[str, Any], before: int
) -> None:
    sampler = Sampler(0.9, 5, substream=2, **options)
    draws(sampler, 0, before)
    clones = [copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))]  # noqa: S301
    state = sampler.filter_state
    expected = draws(sampler, before, 300)
    for clone in clones:
        assert (clone.filters, clone.filter_state) == (Filters(**options), state)
        assert (clone.temperature, clone.seed, clone.substream, clone.position) == (0.9, 5, 2, before)
        assert draws(clone, before, 300) == expected


def test_filters_without_memory_have_no_state() -> None:
    sampler = Sampler(top_k=3, logit_bias={2: 1.0})
    draws(sampler, 0, 5)
    assert sampler.filter_state is None
    assert Sampler().filter_state is None
    # What the filters do not use is ignored.
    sampler.filter_state = FilterState((1, 2), 3.0)
    assert sampler.filter_state is None
    mirostat = Sampler(mirostat_tau=2.0)
    mirostat.filter_state = FilterState((1, 2), 3.0)
    assert mirostat.filter_state == FilterState((), 3.0)


def test_none_resets_the_state() -> None:
    sampler = Sampler(0.9, 5, **MIROSTAT)
    assert sampler.filter_state == FilterState((), 5.0)
    expected = draws(sampler, 0, 50)
    sampler.filter_state = None
    assert sampler.filter_state == FilterState((), 5.0)
    sampler.position = 0
    assert draws(sampler, 0, 50) == expected


def test_a_state_that_is_not_valid_is_an_error_and_changes_nothing() -> None:
    bad: Any
    for sampler in (Sampler(**MIROSTAT), Sampler(**MIROSTAT)):
        sampler.draw(ROWS[0])
        before = sampler.filter_state
        for recent in ((-1,), (2**32,), (10**400,)):
            with pytest.raises(SamplingError, match="a token must be from 0 to"):
                sampler.filter_state = FilterState(recent, 1.0)
        for mu in (math.nan, math.inf, 10**400):
            with pytest.raises(SamplingError, match="mirostat_mu must be a finite number"):
                sampler.filter_state = FilterState((1,), mu)
        with pytest.raises(SamplingError, match="not in the vocabulary of the latest draw"):
            sampler.filter_state = FilterState((1, 30), 1.0)
        for bad in (((1,), 1.0), 3, FilterState(("a",), 1.0), FilterState((1,), "a"), FilterState(3, 1.0)):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                sampler.filter_state = bad
        assert sampler.filter_state == before
    unused = Sampler(**MIROSTAT)
    unused.filter_state = FilterState((30,), 1.0)
    with pytest.raises(
        SamplingError, match="a recent token of the filter state is not in the vocabulary of 30 tok"
    ):
        unused.draw(ROWS[0])
    unused.filter_state = None
    unused.draw(ROWS[0])


def test_only_the_latest_tokens_of_a_longer_state_are_kept() -> None:
    for sampler in (Sampler(**CHAIN), Sampler(**CHAIN)):
        sampler.filter_state = FilterState(tuple(range(25)), 0.0)
        assert sampler.filter_state == FilterState(tuple(range(5, 25)), 0.0)
        sampler.draw(ROWS[0])
    longest = Sampler(presence_penalty=1.0, penalty_window=1024)
    longest.filter_state = FilterState(tuple(range(3000)), 0.0)
    assert longest.filter_state == FilterState(tuple(range(3000 - 1024, 3000)), 0.0)


def test_new_filters_keep_the_recent_tokens() -> None:
    sampler = Sampler(0.9, 5, **CHAIN)
    drawn = draws(sampler, 0, 60)
    sampler.filters = sampler.filters.replace(penalty_window=8, top_k=0)
    assert sampler.filter_state == FilterState(tuple(drawn[-8:]), 0.0)
    drawn += draws(sampler, 60, 70)
    sampler.filters = sampler.filters.replace(penalty_window=50, repetition_penalty=2.0)
    drawn += draws(sampler, 70, 100)
    assert sampler.filter_state == FilterState(tuple(drawn[-38:]), 0.0)
    # Without a penalty nothing is remembered.
    sampler.filters = Filters(top_k=5)
    draws(sampler, 100, 110)
    sampler.filters = Filters(**CHAIN)
    assert sampler.filter_state == FilterState((), 0.0)


def test_new_filters_keep_mu_unless_tau_changes() -> None:
    sampler = Sampler(0.9, 5, **MIROSTAT)
    draws(sampler, 0, 60)
    state = sampler.filter_state
    assert state is not None
    sampler.filters = sampler.filters.replace(mirostat_eta=0.2, presence_penalty=0.0)
    assert sampler.filter_state == FilterState((), state.mirostat_mu)
    sampler.filters = sampler.filters.replace(mirostat_tau=3.5)
    assert sampler.filter_state == FilterState((), 7.0)


def test_new_filters_take_effect_at_the_next_draw() -> None:
    sampler, expected = Sampler(0.9, 5), Sampler(0.9, 5, top_k=4)
    draws(sampler, 0, 20)
    sampler.filters = expected.filters
    expected.position = 20
    assert draws(sampler, 20, 100) == draws(expected, 20, 100)
    sampler.filters = Filters()
    plain = Sampler(0.9, 5)
    plain.position = 100
    assert draws(sampler, 100, 200) == draws(plain, 100, 200)


def test_filters_that_do_not_fit_the_vocabulary_change_nothing() -> None:
    sampler = Sampler(0.9, 5, top_k=4)
    draws(sampler, 0, 1)
    with pytest.raises(SamplingError, match="logit_bias has token 30, but the vocabulary has 30 tokens"):
        sampler.filters = Filters(logit_bias={30: 1.0})
    with pytest.raises(SamplingError, match="logit_bias forbids all 30 tokens"):
        sampler.filters = Filters(logit_bias=dict.fromkeys(range(30), -math.inf))
    with pytest.raises(TypeError):
        sampler.filters = {"top_k": 3}  # type: ignore[assignment]
    with pytest.raises(TypeError):
        sampler.filters = None  # type: ignore[assignment]
    assert sampler.filters == Filters(top_k=4)


def test_the_vocabulary_may_change_between_draws() -> None:
    sampler, expected = Sampler(1.0, 5, top_k=2), Sampler(1.0, 5)
    tokens = [sampler.draw([0.0] * size) for size in (2, 7, 2, 300, 1)]
    assert tokens == [expected.draw([0.0] * min(size, 2)) for size in (2, 7, 2, 300, 1)]
    counting = Sampler(1.0, 5, presence_penalty=-100.0)
    counting.filter_state = FilterState((1,), 0.0)
    assert [counting.draw([0.0] * size) for size in (3, 9, 2)] == [1, 1, 1]
    with pytest.raises(SamplingError, match="set filter_state to None"):
        counting.draw([0.0])


def test_propose_and_accept_together_are_draw() -> None:
    for options in (CHAIN, MIROSTAT, {}):
        sampler, expected = Sampler(0.9, 5, **options), Sampler(0.9, 5, **options)
        for row in ROWS:
            token = sampler.propose(row)
            sampler.accept(token)
            assert token == expected.draw(row)
        assert sampler.filter_state == expected.filter_state
        assert sampler.position == expected.position


def test_a_proposed_token_that_is_not_accepted_uses_one_random_number_only() -> None:
    sampler = Sampler(0.9, 5, **MIROSTAT)
    draws(sampler, 0, 10)
    state = sampler.filter_state
    sampler.propose(ROWS[10])
    assert sampler.filter_state == state
    assert sampler.position == 11


def test_a_token_that_is_not_in_the_vocabulary_cannot_be_accepted() -> None:
    sampler = Sampler(**CHAIN)
    with pytest.raises(SamplingError, match="token 3 is not in the vocabulary of the latest draw"):
        sampler.accept(3)
    draws(sampler, 0, 1)
    for bad, message in ((30, "token 30 is not in the vocabulary"), (-1, "from 0"), (10**400, "from 0")):
        with pytest.raises(SamplingError, match=message):
            sampler.accept(bad)
    with pytest.raises(TypeError):
        sampler.accept(1.5)  # type: ignore[arg-type]
    state = sampler.filter_state
    assert state is not None
    sampler.accept(7)
    assert sampler.filter_state == FilterState((*state.recent, 7), 0.0)


def test_threads_can_share_a_sampler_with_filters() -> None:
    """All threads together draw the same tokens as one thread."""
    workers, calls = 6, 60
    rows = ROWS[:40]
    shared, reference = Sampler(1.0, 6, **MIROSTAT), Sampler(1.0, 6, **MIROSTAT)
    barrier = threading.Barrier(workers)
    drawn: list[int] = []

    def work() -> None:
        barrier.wait()
        for _ in range(calls):
            drawn.extend(shared.draw_batch(rows).tolist())

    run_threads([work] * workers)
    expected = [token for _ in range(workers * calls) for token in reference.draw_batch(rows).tolist()]
    assert Counter(drawn) == Counter(expected)
    assert shared.filter_state == reference.filter_state


def test_threads_can_change_a_sampler_that_draws() -> None:
    sampler = Sampler(1.0, 6, **CHAIN)
    choices = [Filters(**CHAIN), Filters(), Filters(**MIROSTAT), Filters(repetition_penalty=1.1)]
    done = threading.Event()

    def change() -> None:
        for i in range(300):
            sampler.filters = choices[i % len(choices)]
            sampler.filter_state = FilterState((1, 2, 3), 2.0) if i % 3 else None
            sampler.temperature = 0.5 + i % 2
            assert pickle.loads(pickle.dumps(sampler)).seed == 6  # noqa: S301
        done.set()

    def draw() -> None:
        while not done.is_set():
            assert sampler.draw_batch(ROWS).min() >= 0

    run_threads([change, draw, draw])


def run_threads(targets: list[Any]) -> None:
    failures: list[BaseException] = []

    def run(target: Any) -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001 (raised again below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("options", [{}, MIROSTAT], ids=["no filters", "mirostat"])
def test_a_sampler_works_in_a_process_forked_during_a_draw(options: dict[str, Any]) -> None:
    """A thread of the parent holds the lock and may change the filters. It does not exist in the child."""
    row_count = 60_000 if options else 400_000
    rows = np.zeros((row_count, 64), np.float32)
    # Repeat if the thread finished before the fork: exit code 2.
    for _ in range(20):
        sampler = Sampler(1.0, 6, **options)
        sampler.draw(rows[0])
        thread = threading.Thread(target=sampler.draw_batch, args=(rows,))
        thread.start()
        while sampler.position < 100:
            pass
        child = os.fork()
        if not child:
            signal.alarm(60)
            try:
                os._exit(check_child(sampler, options, row_count))
            finally:
                os._exit(3)
        thread.join()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 2:
            break
    assert code == 0


def check_child(sampler: Sampler, options: dict[str, Any], row_count: int) -> int:
    """Return 0 if the sampler of a forked process is consistent, 2 if the fork came too late, else 1."""
    position, state = sampler.position, sampler.filter_state
    logits = np.zeros(64, np.float32)
    expected = Sampler(1.0, 6, **options)
    expected.position, expected.filter_state = position, state
    # The position of the parent before the fork was 100 or more.
    correct = sampler.filters == Filters(**options) and position >= 100
    if options:
        correct = correct and state is not None and len(state.recent) == sampler.filters.penalty_window
    correct = correct and [sampler.draw(logits) for _ in range(50)] == [
        expected.draw(logits) for _ in range(50)
    ]
    if not correct:
        return 1
    return 2 if position > row_count else 0
