"""A random stream follows from its seed and position alone, in copies, threads and processes too."""

import copy
import os
import pickle
import signal
import threading
from collections import Counter

import numpy as np
import pytest
from textgen_runtime import Sampler, SamplingError

from tests.helpers.sampler_cases import LOGITS


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
        tuple(Sampler(1.0, seed, substream).draw_batch(rows))
        for seed in (7, 2**127 + 7, 2**128 - 1)
        for substream in (0, 1, 2**32 - 1)
    }
    assert len(drawn) == 9


def test_streams_of_a_seed_are_different_and_a_state_can_be_handed_on() -> None:
    texts = [tuple(Sampler(1.0, seed=4, substream=i).draw_batch(np.tile(LOGITS, (40, 1)))) for i in range(5)]
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


def test_the_random_stream_ends_at_the_last_position() -> None:
    sampler = Sampler(1.0, seed=4)
    sampler.position = 2**63 - 2
    sampler.draw(LOGITS)
    assert sampler.position == 2**63 - 1
    with pytest.raises(SamplingError, match="exhausted"):
        sampler.draw(LOGITS)
    sampler.position = 2**63 - 3
    with pytest.raises(SamplingError, match="exhausted"):
        sampler.draw_batch(np.tile(LOGITS, (3, 1)))
    assert sampler.position == 2**63 - 1


def test_copies_and_pickles_go_on_from_where_they_were_made() -> None:
    sampler = Sampler(0.7, seed=4, substream=2)
    sampler.draw_batch(np.tile(LOGITS, (33, 1)))
    twins = [copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))]  # noqa: S301
    expected = [sampler.draw(LOGITS) for _ in range(40)]
    for clone in twins:
        assert (clone.temperature, clone.seed, clone.substream, clone.position) == (0.7, 4, 2, 33)
        assert [clone.draw(LOGITS) for _ in range(40)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_draws_on_while_a_thread_drew() -> None:
    """The thread holds the sampler's lock and is not there in the child to release it."""
    rows, wide = np.zeros((400_000, 64), np.float32), 400_000
    # It is tried again should this thread not have run while the other one drew.
    for _ in range(20):
        sampler = Sampler(1.0, seed=6)
        thread = threading.Thread(target=sampler.draw_batch, args=(rows,))
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
    combined = threading.Barrier(workers)
    drawn: list[int] = []

    def work() -> None:
        combined.wait()
        for _ in range(calls):
            drawn.extend(shared.draw_batch(wide).tolist())

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [token for _ in range(workers * calls) for token in alone.draw_batch(wide).tolist()]
    assert shared.position == alone.position
    assert Counter(drawn) == Counter(expected)
