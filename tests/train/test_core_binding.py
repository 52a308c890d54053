"""The binding of the trainer in C: what it adds to the functions that ``tests/train/core`` tests."""

import json
import math
import random
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import ModelFileError
from textgen_runtime._core import CoreModel
from textgen_runtime.errors import Name, TextgenError
from textgen_train._core import (
    PRECISIONS,
    Batches,
    Corpus,
    Trainer,
    Values,
    choose_preset,
    options,
    preset_for,
    quantize,
    rate_factor,
)
from textgen_train.errors import CorpusError, RecipeError, TrainingError

from tests.helpers.programs import run_python

from .core.trainer import OPTIONS

SMALL: dict[str, float] = {"units": 8, "embedding": 4, "layers": 1, "batch": 4, "sequence_length": 16}
TEXT = "".join(random.Random(1).choices(["the cat sat, ", "a dog ran, ", "we fell.\n"], k=300)).encode()


def corpus_of(text: bytes = TEXT, **arguments: Any) -> Corpus:
    return Corpus(text, "words", **arguments)


def trainer_of(corpus: Corpus | None = None, *, seed: int = 1, **values: float) -> Trainer:
    return Trainer(corpus or corpus_of(), {**SMALL, **values}, seed, 1)


def losses(trainer: Trainer, count: int) -> list[float]:
    return [trainer.update(step / 20) for step in range(count)]


def test_the_binding_imports_no_numpy() -> None:
    run_python("import sys, textgen_train._core; assert not {'numpy', 'torch'} & {*sys.modules}")


# ---- Corpora and batches ----


@pytest.mark.parametrize(("symbols", "kind"), [(256, "B"), (257, "H"), (65_537, "I")])
def test_tokens_are_a_read_only_view(symbols: int, kind: str) -> None:
    """The tokens of the characters in the order of the vocabulary."""
    text = "".join(map(chr, range(0x10000, 0x10000 + symbols)))
    corpus = corpus_of(text.encode(), held_out_text=text[:20].encode())
    assert (corpus.training.format, corpus.training.readonly) == (kind, True)
    assert corpus.training.tolist() == [*range(symbols)]
    assert corpus.held_out.tolist() == [*range(1, 20)]
    assert (corpus.before, corpus.held_out_share) == (0, 0.0)


def test_the_numbers_of_a_corpus_have_their_names() -> None:
    text = "".join(f"{'ab' * (i % 7)}\u00e9{i}\n" for i in range(150))
    corpus = corpus_of(text.encode(), records="lines", held_out=0.2, lowercase=True, unicode="NFC")
    numbers = corpus.training_records, corpus.training_characters, corpus.training_tokens
    assert sum(numbers[1:]) == 2 * (len(text) - corpus.held_out_characters)
    assert numbers[0] + corpus.held_out_records == 150
    assert corpus.held_out_characters == corpus.held_out_tokens == len(corpus.held_out)
    assert corpus.held_out_records == corpus.held_out.tolist().count(corpus.before + 1)
    assert corpus.vocabulary_size == 15
    assert 2 < corpus.common_symbols < 15
    assert corpus.held_out_share == 0.2
    assert corpus.special == f'{{"begin": {corpus.before}, "end": {corpus.before + 1}}}'
    metadata = textgen.load(trainer_of(corpus).model("{}")).metadata
    assert (metadata.records, metadata.normalization.lowercase) == ("lines", True)
    again = corpus_of(text.encode(), vocabulary=corpus.vocabulary, special=corpus.special, records="lines")
    assert (again.vocabulary, again.special, again.sha256) == (
        corpus.vocabulary,
        corpus.special,
        corpus.sha256,
    )


def test_tokens_and_characters_of_bytes_differ() -> None:
    corpus = corpus_of("\u00e9\u00e8".encode() * 1000, level="byte")
    assert (corpus.training_tokens, corpus.training_characters) == (3600, 1800)
    assert (corpus.held_out_tokens, corpus.held_out_characters) == (400, 200)
    assert corpus.held_out_share == 0.1


def test_a_batch_is_a_copy_of_the_tokens_at_its_places() -> None:
    corpus = corpus_of()
    batches = Batches(corpus, SMALL)
    tokens = np.array(corpus.training)
    kept = []
    for index in range(batches.per_epoch):
        batch = batches.get(3, 2, index)
        shape = batch.time, batch.lanes
        inputs, targets, places = map(np.asarray, (batch.inputs, batch.targets, batch.places))
        assert inputs.shape == targets.shape == places.shape == shape
        assert [array.dtype.str[1:] for array in (inputs, targets, places)] == ["i4", "i4", "i8"]
        assert (batch.is_start, batch.count) == (index == 0, targets.size)
        assert batch.lanes == SMALL["batch"]
        np.testing.assert_array_equal(inputs[1:], targets[:-1])
        kept.append((inputs, targets, places))
    for inputs, targets, places in kept:
        np.testing.assert_array_equal(targets, tokens[places])
        np.testing.assert_array_equal(inputs, tokens[places - 1])
    for index in (-1, batches.per_epoch):
        with pytest.raises(IndexError):
            batches.get(3, 2, index)


@pytest.mark.parametrize(
    "use",
    [trainer_of, lambda corpus: Batches(corpus, SMALL), lambda corpus: corpus.training],
    ids=["trainer", "batches", "view"],
)
def test_what_uses_a_corpus_keeps_it(use: Callable[[Corpus], object]) -> None:
    corpus = corpus_of()
    before = sys.getrefcount(corpus)
    user = use(corpus)
    assert sys.getrefcount(corpus) == before + 1
    del user
    assert sys.getrefcount(corpus) == before


@pytest.mark.parametrize("text", ["The quick brown fox. ", "\u65e5\u672c"])
def test_excerpts_end_with_a_complete_word(text: str) -> None:
    prompts = json.loads(corpus_of(text.encode() * 999).prompts)
    assert len(prompts) > 1
    assert all(re.search(r"(\b(The|quick|brown|fox\.) ?|\u65e5|\u672c)$", prompt) for prompt in prompts)


# ---- Options ----


def test_the_options_are_those_of_the_core() -> None:
    assert [(option.name, option.is_number) for option in options()] == [
        (name, kind == "double") for name, kind in OPTIONS
    ]
    for option in options():
        numbers = option.default, option.least, option.most
        assert {*map(type, numbers)} == {float if option.is_number else int}
        assert option.least <= option.default <= option.most


def test_a_larger_preset_needs_more_tokens_that_are_learned() -> None:
    found = [preset_for(50, 500_000, epochs) for epochs in (1, 8, 30, 40, 160, 1000)]
    assert [*dict.fromkeys(found)] == ["small", "medium", "large"]
    assert found == [preset_for(50, 5_000_000, epochs / 10) for epochs in (1, 8, 30, 40, 160, 1000)]
    assert preset_for(50, 50_000, 1e6) == preset_for(1000, 500_000, 1e6) == "small"


def test_values_are_read_and_returned_by_name() -> None:
    chosen = choose_preset("large", 50, 500_000, 10)
    assert (chosen["units"], chosen["dropout"], chosen["learning_rate"]) == (448, 0.1, 0.04)
    rows = [choose_preset("large", 50, 500_000, epochs) for epochs in (10, 30, 100, 250, 1e3, 1e4)]
    assert [round(10 * (row["dropout"] + row["weight_dropout"])) for row in rows] == [3, 5, 6, 7, 9, 10]
    assert choose_preset("large", 50, 250_000, 250)["dropout"] == 0.4
    assert choose_preset("large", 50, 500_000, None) == choose_preset("large", 50, 500_000, 100)
    assert {*chosen} == {option.name for option in options()} - {"parts", "precision"}
    with pytest.raises(KeyError):
        choose_preset("huge", 50, 500_000, 10)
    assert rate_factor({"units": 512}, 50, 0.5) == rate_factor({"units": 128, "layers": None}, 50, 0.5) / 2
    assert rate_factor({}, 99, 0.01) > 1.5 * rate_factor({}, 50, 0.01)
    assert rate_factor({"warmup": 0}, 0, 0.0) > 10 * rate_factor({"warmup": 100, "other": 1}, 0, 0.0)


@pytest.mark.parametrize("use", [trainer_of, lambda **values: Batches(corpus_of(), values)])
@pytest.mark.parametrize(
    "values", [{"units": 0}, {"units": 2**70}, {"layers": -(2**70)}, {"dropout": math.nan}], ids=str
)
def test_an_option_out_of_range_is_named(use: Callable[..., object], values: Values) -> None:
    with pytest.raises(RecipeError) as raised:
        use(**values)
    assert raised.value.parameter == next(iter(values))
    assert raised.value.args[0] == Name(*values)


def start_from(file: bytes) -> None:
    trainer_of().start_from(file)


def other_run() -> None:
    trainer_of().resume(trainer_of(units=9).save())


@pytest.mark.parametrize(
    ("kind", "parameter", "use"),
    [
        (CorpusError, "text", lambda: corpus_of(b"short")),
        (CorpusError, "text", lambda: corpus_of(b"\xff" * 1000)),
        (CorpusError, "held_out_text", lambda: corpus_of(held_out_text=b"short")),
        (CorpusError, "held_out_text", lambda: corpus_of(held_out_text=b"\xff" * 1000)),
        (RecipeError, "level", lambda: corpus_of(level="letter")),
        (RecipeError, "records", lambda: corpus_of(records="pages")),
        (RecipeError, "held_out", lambda: corpus_of(held_out=1.0)),
        (RecipeError, "unicode", lambda: corpus_of(unicode="NFX")),
        (RecipeError, "vocabulary", lambda: corpus_of(vocabulary="[")),
        (RecipeError, "seed", lambda: trainer_of(seed=-1)),
        (RecipeError, "seed", lambda: trainer_of(seed=2**64)),
        (RecipeError, "threads", lambda: Trainer(corpus_of(), SMALL, 1, 0)),
        (RecipeError, "threads", lambda: Trainer(corpus_of(), SMALL, 1, 2**32 + 1)),
        (TrainingError, "kernels", lambda: Trainer(corpus_of(), SMALL, 1, 1, "none")),
        (RecipeError, "dropout", lambda: trainer_of().regularize({"dropout": 1})),
        (RecipeError, "columns", lambda: trainer_of().teach(b"", None, 0, 0.5)),
        (TrainingError, None, lambda: trainer_of().resume(b"")),
        (TrainingError, None, other_run),
        (TrainingError, "units", lambda: start_from(trainer_of(units=9).model("{}"))),
        (ModelFileError, None, lambda: start_from(b"damaged")),
        (ModelFileError, None, lambda: quantize(b"damaged")),
        (ModelFileError, None, lambda: quantize(quantize(trainer_of().model("{}")))),
    ],
)
def test_an_error_of_the_core_is_an_exception(
    kind: type[TextgenError], parameter: str | None, use: Callable[[], object]
) -> None:
    with pytest.raises(kind) as raised:
        use()
    assert type(raised.value) is kind
    assert raised.value.parameter == parameter


def test_a_character_outside_a_vocabulary_is_an_error_of_the_corpus() -> None:
    with pytest.raises(CorpusError):
        corpus_of(vocabulary='["a", "b"]')


@pytest.mark.parametrize("name", ["name", "level", "records", "unicode", "vocabulary", "special"])
def test_a_zero_byte_does_not_end_a_text(name: str) -> None:
    arguments: dict[str, Any] = {"text": TEXT, "name": "words", name: "a\0b"}
    with pytest.raises(ValueError, match="null byte"):
        Corpus(**arguments)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces this limit")
def test_a_lack_of_memory_is_a_memory_error() -> None:
    run_python(
        "import resource\n"
        "from textgen_train._core import Corpus, Trainer\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "corpus = Corpus(b'a text ' * 100, 'words')\n"
        "try:\n    Trainer(corpus, {'units': 16384, 'layers': 64}, 1, 1)\n"
        "except MemoryError:\n    Trainer(corpus, {'units': 8}, 1, 1).update(0.0)\n"
        "else:\n    raise AssertionError\n"
    )


# ---- Runs ----


def test_measuring_does_not_change_the_run() -> None:
    measured = trainer_of(precision=PRECISIONS.index("auto"))
    other = trainer_of(precision=PRECISIONS.index(measured.precision))
    for _ in range(3):
        assert measured.kernels == other.kernels
        assert measured.save() == other.save()
        assert measured.update(0.5) == other.update(0.5)


def test_a_run_makes_a_model_of_its_network() -> None:
    trainer = trainer_of(units=12, residual=True, layers=2)
    assert (trainer.step, trainer.epoch, trainer.threads) == (0, 0.0, 1)
    assert trainer.kernels == Trainer(corpus_of(), SMALL, 1, 1, trainer.kernels).kernels
    before = trainer.score()
    losses(trainer, 3)
    assert (trainer.step, trainer.epoch) == (3, 3 / trainer.per_epoch)
    assert trainer.score() < before
    assert trainer.score_start(10**6) == pytest.approx(trainer.score(), rel=1e-5)
    file = trainer.model('{"corpus": "other"}')
    assert textgen.load(file).metadata.training == {"corpus": "other"}
    model = CoreModel(file)
    assert (model.size, model.parameters) == ((2, 12, 4, True), trainer.parameters)
    other = trainer_of(seed=2, units=12, residual=True, layers=2)
    other.start_from(file)
    assert other.score() == trainer.score()


def test_a_resumed_run_goes_on_exactly() -> None:
    trainer, other = trainer_of(), trainer_of()
    losses(trainer, 3)
    losses(other, 1)
    saved = trainer.save()
    # At an address that is not aligned.
    other.resume(memoryview(b"-" + saved)[1:])
    assert (other.step, other.epoch) == (trainer.step, trainer.epoch)
    assert losses(other, 3) == losses(trainer, 3)
    assert trainer.save() != saved


def test_a_regularized_run_goes_on_differently() -> None:
    trainer, other = trainer_of(), trainer_of()
    other.regularize({**SMALL, "dropout": 0.5})
    assert losses(trainer, 2) != losses(other, 2)


def test_a_trainer_keeps_the_buffers_of_its_predictions() -> None:
    """A bytearray cannot grow while something uses its memory."""
    corpus = corpus_of()
    trainer = trainer_of(corpus)
    count = corpus.training_tokens

    def certain_of(token: int) -> tuple[bytearray, bytearray]:
        return bytearray(b"\xff\xff" * count), bytearray([token]) * count

    def is_kept(pair: tuple[bytearray, bytearray]) -> list[bool]:
        kept = []
        for buffer in pair:
            try:
                buffer.append(0)
            except BufferError:
                kept.append(True)
            else:
                buffer.pop()
                kept.append(False)
        return kept

    first, second, refused = certain_of(0), certain_of(1), certain_of(2)
    trainer.teach(*first, 1, 1.0)
    with pytest.raises(RecipeError):
        trainer.teach(*refused, 1, 2.0)
    assert (is_kept(first), is_kept(refused)) == ([True, True], [False, False])
    trainer.teach(*second, 1, 1.0)
    assert (is_kept(first), is_kept(second)) == ([False, False], [True, True])
    before = trainer.score()
    losses(trainer, 20)
    # It learns to predict one token always.
    assert trainer.score() > before
    del trainer
    assert is_kept(second) == [False, False]


@pytest.mark.parametrize(("missing", "of_tokens"), [(2, 0), (0, 1), (-2, 0), (0, -1)])
def test_predictions_of_another_size_are_refused(missing: int, of_tokens: int) -> None:
    corpus = corpus_of()
    count = corpus.training_tokens
    with pytest.raises(ValueError, match=str(count)):
        trainer_of(corpus).teach(bytes(2 * count - missing), bytes(count - of_tokens), 1, 0.5)


def test_an_address_that_is_not_aligned_is_refused() -> None:
    corpus = corpus_of()
    shares = memoryview(bytes(2 * corpus.training_tokens + 1))[1:]
    with pytest.raises(ValueError, match="uint16"):
        trainer_of(corpus).teach(shares, bytes(corpus.training_tokens), 1, 0.5)


def test_any_number_of_metadata_entries_is_added_to_a_file_of_8_bits() -> None:
    file = trainer_of().model('{"corpus": "old"}')
    more = {f"textgen.key{i}": str(i) for i in range(40)} | {"textgen.training": '{"corpus": "new"}'}
    converted = quantize(file, more)
    assert CoreModel(converted).bits == CoreModel(quantize(file)).bits == 8
    assert textgen.load(converted).metadata.training == {"corpus": "new"}
    assert all(f"textgen.key{i}".encode() in converted for i in range(40))


# ---- Threads ----


def test_trainers_in_two_threads_do_not_change_each_other() -> None:
    corpus = corpus_of()
    with ThreadPoolExecutor(2) as pool:
        found = [*pool.map(lambda seed: losses(trainer_of(corpus, seed=seed), 30), (1, 2))]
    assert found == [losses(trainer_of(corpus, seed=seed), 30) for seed in (1, 2)]


def meanwhile(call: Callable[[], object], other: Callable[[], object]) -> object:
    """Return the exception of ``other``, which another thread calls while ``call`` runs without the GIL."""
    found: list[object] = []
    start, ready = Lock(), Event()
    start.acquire()

    def run() -> None:
        ready.set()
        with start:
            try:
                found.append(other())
            except (RuntimeError, ValueError) as error:
                found.append(error)

    thread = Thread(target=run)
    interval = sys.getswitchinterval()
    thread.start()
    ready.wait()
    try:
        # Threads switch only where this one gives up the GIL.
        sys.setswitchinterval(1e6)
        start.release()
        for _ in range(1000):
            call()
            if found:
                break
        assert found
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    return found[0]


def uses() -> dict[str, Callable[[], object]]:
    # Large enough that a thread can begin while another one copies the run.
    trainer = trainer_of(units=256)
    saved, file = trainer.save(), trainer.model("{}")
    return {
        "update": lambda: trainer.update(0.0),
        "score": trainer.score,
        "score_start": lambda: trainer.score_start(100),
        "model": lambda: trainer.model("{}"),
        "save": trainer.save,
        "resume": lambda: trainer.resume(saved),
        "start_from": lambda: trainer.start_from(file),
        "regularize": lambda: trainer.regularize({}),
        "teach": lambda: trainer.teach(b"", None, 0, 0.0),
        "step": lambda: trainer.step,
    }


@pytest.mark.parametrize("name", ["update", "score", "score_start", "model", "save", "resume", "start_from"])
def test_a_second_thread_cannot_use_a_trainer_meanwhile(name: str) -> None:
    """What computes releases the GIL."""
    of_trainer = uses()
    assert isinstance(meanwhile(of_trainer[name], of_trainer["update"]), RuntimeError)
    of_trainer["update"]()


@pytest.mark.parametrize(
    "name", ["update", "score", "model", "save", "resume", "regularize", "teach", "step"]
)
def test_only_numbers_can_be_read_during_an_update(name: str) -> None:
    of_trainer = uses()
    found = meanwhile(of_trainer["update"], of_trainer[name])
    assert isinstance(found, int if name == "step" else RuntimeError)


def test_what_has_no_trainer_yet_releases_the_gil_too() -> None:
    file = trainer_of().model("{}")
    corpus = corpus_of()
    for call in (corpus_of, lambda: trainer_of(corpus, units=256), lambda: quantize(file)):
        assert meanwhile(call, lambda: 1) == 1
