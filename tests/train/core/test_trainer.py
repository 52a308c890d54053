"""The public functions of trainers: runs that go on from what was saved, and what is refused."""

import ctypes
from collections.abc import Iterator
from ctypes import byref, c_double, c_int32, c_size_t, c_uint64, c_void_p
from typing import Any

import numpy as np
import pytest

from .test_corpus import create
from .trainer import Error, Options, Run, library

INVALID, DAMAGED, OTHER = -1, -14, -16
SIZES = {"units": 12, "layers": 1, "embedding": 4, "batch": 6, "sequence_length": 10}
TEXT = b"the cat sat, a dog ran, we all fell. " * 60


class Trained:
    """A trainer of a text."""

    def __init__(self, text: bytes = TEXT, records: str | None = None, **options: float) -> None:
        self.core: Any = library()
        created = create(text, "byte", records, 0.1)
        assert isinstance(created, c_void_p)
        self.corpus, self.trainer = created, c_void_p()
        self.options: Options = self.core.textgen_default_options()
        for name, value in {**SIZES, "dropout": 0.1, **options}.items():
            setattr(self.options, name, value)
        code = self.core.textgen_trainer_create(
            self.corpus, byref(self.options), c_uint64(3), 2, None, byref(self.trainer), None
        )
        assert code == 0

    def close(self) -> None:
        self.core.textgen_trainer_destroy(self.trainer)
        self.core.textgen_corpus_destroy(self.corpus)

    def update(self, progress: float = 0.3, count: int = 1) -> float:
        return [
            float(self.core.textgen_trainer_update(self.trainer, c_double(progress))) for _ in range(count)
        ][-1]

    def save(self) -> bytes:
        size = c_size_t()
        data = self.core.textgen_trainer_save(self.trainer, byref(size))
        return ctypes.string_at(data, size.value)

    def resume(self, block: bytes) -> int:
        aligned = np.frombuffer(block, np.uint8).copy()
        error = Error()
        return int(
            self.core.textgen_trainer_resume(
                self.trainer, c_void_p(aligned.ctypes.data), c_size_t(len(block)), byref(error)
            )
        )


@pytest.fixture
def trained() -> Iterator[Trained]:
    trainer = Trained()
    yield trainer
    trainer.close()


def changed(block: bytes, **fields: int) -> bytes:
    """Return a saved run with other values of these fields."""
    copy = bytearray(block)
    run = Run.from_buffer(copy)
    for name, value in fields.items():
        setattr(run, name, value)
    del run
    return bytes(copy)


def test_a_resumed_run_is_that_which_was_not_interrupted(trained: Trained) -> None:
    trained.update(count=5)
    score, block = trained.core.textgen_trainer_score(trained.trainer), trained.save()
    trained.update(count=5)
    expected = trained.save()
    assert expected != block
    assert trained.resume(block) == 0
    assert trained.core.textgen_trainer_score(trained.trainer) == score
    trained.update(count=5)
    assert trained.save() == expected


def test_only_a_run_of_the_same_text_and_options_is_resumed(trained: Trained) -> None:
    block = trained.save()
    for other, code in (
        (Trained(TEXT[::-1]), OTHER),
        (Trained(b"".join(b"line %d\n" % i for i in range(400)), records="lines"), OTHER),
        (Trained(sequence_length=9), OTHER),
        (Trained(learning_rate=0.5), OTHER),
        (Trained(dropout=0.4), 0),
    ):
        assert other.resume(block) == code
        other.close()
    highest = 2**63 - 1
    for field in ("step", "epoch", "batch", "lanes", "parts", "vocabulary"):
        for value in (-1, highest):
            assert trained.resume(changed(block, **{field: value})) in (DAMAGED, OTHER), field
    assert trained.resume(block[:-1]) == DAMAGED
    damaged = bytearray(block)
    Run.from_buffer(damaged).options.units = 0
    assert trained.resume(bytes(damaged)) == DAMAGED
    assert trained.save() == block


def test_a_run_that_diverged_has_no_loss() -> None:
    trainer = Trained(learning_rate=1e9, muon_lr=1e9, warmup=0)
    trainer.update(count=3)
    assert np.isnan(trainer.core.textgen_trainer_score(trainer.trainer))
    trainer.close()


def test_regularization_can_be_changed_within_its_range(trained: Trained) -> None:
    options, error = trained.options, Error()
    for name, value in (("dropout", float("nan")), ("weight_dropout", 7.0)):
        setattr(options, name, value)
        arguments = trained.trainer, byref(options), byref(error)
        assert trained.core.textgen_trainer_regularize(*arguments) == INVALID
        assert error.parameter.decode() == name
        setattr(options, name, 0.2)
    options.units = 99
    assert trained.core.textgen_trainer_regularize(trained.trainer, byref(options), None) == 0
    run = Run.from_buffer_copy(trained.save())
    assert (run.options.dropout, run.options.weight_dropout, run.options.units) == (0.2, 0.2, 12)
    for progress in (float("nan"), -1.0, 7.0):
        assert np.isfinite(trained.update(progress))
    assert np.isfinite(trained.core.textgen_trainer_score(trained.trainer))


@pytest.mark.parametrize(
    ("field", "value", "threads", "kernels"),
    [
        ("units", 0, 1, None),
        ("dropout", 1.0, 1, None),
        ("threads", 8, 0, None),
        ("threads", 8, 257, None),
        ("kernels", 8, 1, b"mmx"),
    ],
)
def test_what_no_run_can_have_is_refused(
    trained: Trained, field: str, value: float, threads: int, kernels: bytes | None
) -> None:
    setattr(trained.options, field if hasattr(trained.options, field) else "units", value)
    trainer, error = c_void_p(), Error()
    arguments = c_uint64(0), c_int32(threads), kernels, byref(trainer), byref(error)
    code = trained.core.textgen_trainer_create(trained.corpus, byref(trained.options), *arguments)
    assert (code, error.parameter.decode()) == (INVALID, field)
