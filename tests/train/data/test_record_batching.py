"""Groups of records, padded to equal length."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.data import batches as module
from textgen_train.data.batches import PADDING, Batch, RecordBatches
from textgen_train.data.tokens import Tokens

BEGIN, END = 7, 8
SPECIAL = SpecialTokens(None, BEGIN, END)


def make_tokens(lengths: list[int]) -> Tokens:
    rng = np.random.default_rng(0)
    parts = [np.append(rng.integers(7, size=length), END) for length in lengths]
    return np.concatenate(parts).astype(np.uint8)


def records_of(tokens: Tokens) -> Counter[tuple[int, ...]]:
    return Counter(tuple(map(int, part)) for part in np.split(tokens, np.flatnonzero(tokens == END) + 1)[:-1])


def read_records(batches: list[Batch]) -> Counter[tuple[int, ...]]:
    """Put the records of all batches together, and check the inputs."""
    found: Counter[tuple[int, ...]] = Counter()
    lanes: list[list[int]] = []
    for batch in [*batches, None]:
        if batch is None or batch.is_start:
            found.update(map(tuple, lanes))
            lanes = []
        if batch is None:
            break
        assert batch.inputs.shape == batch.targets.shape
        assert batch.inputs.dtype == batch.targets.dtype == torch.int64
        lanes = lanes or [[] for _ in range(batch.inputs.shape[1])]
        assert batch.count == int((batch.targets != PADDING).sum()) > 0
        for lane, record in enumerate(lanes):
            targets = [token for token in batch.targets[:, lane].tolist() if token != PADDING]
            # Padding comes only after the end.
            assert batch.targets[: len(targets), lane].tolist() == targets
            inputs = batch.inputs[: len(targets), lane].tolist()
            assert inputs == [record[-1] if record else BEGIN, *targets][: len(targets)]
            record.extend(targets)
    return found


LENGTHS = st.lists(st.integers(0, 60) | st.integers(0, 5), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 6), st.integers(1, 20), st.sampled_from([25, 200, 10_000]))
def test_each_epoch_has_every_record_once(
    lengths: list[int], batch: int, sequence_length: int, shuffled: int
) -> None:
    tokens = make_tokens(lengths)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "MAX_SHUFFLED_TOKENS", shuffled)
        batches = RecordBatches(tokens, SPECIAL, batch, sequence_length)
    for seed in range(2):
        epoch = list(batches.epoch(seed))
        assert len(epoch) == batches.updates_per_epoch
        assert read_records(epoch) == records_of(tokens)
        assert sum(part.count for part in epoch) == len(tokens)
        assert all(len(part.inputs) <= sequence_length for part in epoch)
        assert max(part.inputs.shape[1] for part in epoch) <= batches.max_lanes
        places = torch.cat([part.positions[part.targets != PADDING] for part in epoch])
        assert sorted(places.tolist()) == [*range(len(tokens))]
        targets = torch.cat([part.targets[part.targets != PADDING] for part in epoch])
        assert tokens[places.numpy()].tolist() == targets.tolist()


@given(LENGTHS, st.integers(0, 100))
@example([60, 3, 50, 40] * 3, 9)
def test_later_batches_do_not_depend_on_the_first_one(lengths: list[int], first: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "MAX_SHUFFLED_TOKENS", 100)
        batches = RecordBatches(make_tokens(lengths), SPECIAL, 4, 10)
    expected = list(islice(batches.epoch(1), first, None))
    later = list(batches.epoch(1, first))
    assert len(expected) == len(later)
    for a, b in zip(expected, later, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
        assert (a.count, a.is_start) == (b.count, b.is_start)


def test_groups_are_drawn_anew() -> None:
    batches = RecordBatches(make_tokens([5] * 64), SPECIAL, 2, 24)
    first, second = (
        [sorted(map(tuple, batch.targets.t().tolist())) for batch in batches.epoch(seed)] for seed in range(2)
    )
    assert len(first) == batches.updates_per_epoch == 8
    assert sorted(first) != sorted(second)


def test_a_batch_has_about_as_many_targets_as_one_of_a_text() -> None:
    batches = RecordBatches(make_tokens([3] * 512 + [31] * 512), SPECIAL, 16, 32)
    epoch = list(batches.epoch(0))
    assert {tuple(batch.inputs.shape) for batch in epoch} == {(4, 128), (32, 16)}
    assert batches.max_lanes == 128


def test_records_of_similar_length_are_together() -> None:
    lengths = np.random.default_rng(1).integers(1, 200, 2000).tolist()
    epoch = list(RecordBatches(make_tokens(lengths), SPECIAL, 16, 200).epoch(0))
    padded = sum(batch.targets.numel() for batch in epoch)
    assert sum(batch.count for batch in epoch) > 0.75 * padded


def test_a_long_record_is_cut_into_sequences() -> None:
    batches = RecordBatches(make_tokens([10_000, 3]), SPECIAL, 4, 64)
    epoch = list(batches.epoch(0))
    assert len(epoch) == batches.updates_per_epoch == 157 + 1
    assert sum(batch.is_start for batch in epoch) == 2


def test_records_need_begin_and_end() -> None:
    with pytest.raises(ValueError, match="need the tokens begin and end"):
        RecordBatches(make_tokens([3]), SpecialTokens(), 4, 8)
