"""The public functions of trainers: runs that go on from what was saved, and what is refused."""

import ctypes
import json
from collections.abc import Iterator
from ctypes import byref, c_double, c_int32, c_size_t, c_uint64, c_void_p
from typing import Any

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from numpy.typing import NDArray

from .test_corpus import create
from .trainer import Error, Options, Run, address, library

INVALID, DAMAGED, OTHER = -1, -14, -16
SIZES = {"units": 12, "layers": 1, "embedding": 4, "batch": 6, "sequence_length": 10}
TEXT = b"the cat sat, a dog ran, we all fell. " * 60


class Trained:
    """A trainer of a text."""

    def __init__(
        self, text: bytes = TEXT, records: str | None = None, corpus: Any = None, **options: Any
    ) -> None:
        self.core: Any = library()
        created = create(text, records=records, **{"level": "byte", "held_out": 0.1, **(corpus or {})})
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

    def model(self, training: bytes | None = None) -> bytes:
        arguments = self.trainer, c_double(1.5), training
        content = ctypes.create_string_buffer(self.core.textgen_trainer_write_model(*arguments, None))
        self.core.textgen_trainer_write_model(*arguments, content)
        return content.raw

    def start_from(self, content: bytes) -> tuple[int, str | None]:
        error = Error()
        arguments = self.trainer, content, c_size_t(len(content)), byref(error)
        code = self.core.textgen_trainer_start_from(*arguments)
        return code, error.parameter and error.parameter.decode()

    def resume(self, block: bytes) -> int:
        aligned = np.frombuffer(block, np.uint8).copy()
        error = Error()
        return int(
            self.core.textgen_trainer_resume(
                self.trainer, c_void_p(aligned.ctypes.data), c_size_t(len(block)), byref(error)
            )
        )


def arrays_of(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of a model file."""
    tensors = onnx.load_from_string(content).graph.initializer
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}


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


@pytest.mark.parametrize("records", [None, "lines"])
def test_trainers_without_common_memory_make_the_updates_of_one(records: str | None) -> None:
    # Lanes of different lengths, and records that take several batches.
    text = b"".join(b"%d cats%s\n" % (i, b" and a dog" * (i % 5)) for i in range(90))
    alone, *team = [Trained(text, records, parts=3, batch=7) for _ in range(3)]
    info = team[0].core.textgen_trainer_get_info(team[0].trainer)
    content = ctypes.create_string_buffer(info.part_size)
    first, second = (trained.trainer for trained in team)
    core = alone.core
    for _ in range(3 * info.per_epoch):
        for trainer in (first, second):
            core.textgen_trainer_begin(trainer, c_double(0.3))
        core.textgen_trainer_compute_part(first, c_size_t(1))
        for part in (2, 0):
            core.textgen_trainer_compute_part(second, c_size_t(part))
            core.textgen_trainer_write_part(second, c_size_t(part), content)
            core.textgen_trainer_read_part(first, c_size_t(part), content)
        loss = core.textgen_trainer_end(first)
        core.textgen_trainer_follow(second, c_void_p(core.textgen_trainer_weights(first)))
        assert loss == alone.update()
    assert team[0].save() == alone.save()
    for trained in (alone, *team):
        trained.close()


def test_only_a_run_of_the_same_text_options_and_seed_is_resumed(trained: Trained) -> None:
    block = trained.save()
    for other, code in (
        (Trained(TEXT[::-1]), OTHER),
        (Trained(b"".join(b"line %d\n" % i for i in range(400)), records="lines"), OTHER),
        (Trained(sequence_length=9), OTHER),
        (Trained(learning_rate=0.5), OTHER),
        (Trained(corpus={"held_out": 0.2}), OTHER),
        (Trained(corpus={"held_out_text": TEXT}), OTHER),
        (Trained(corpus={"level": "word", "vocabulary": json.dumps([chr(i) for i in range(256)])}), OTHER),
        (Trained(dropout=0.4), 0),
    ):
        assert other.resume(block) == code
        other.close()
    highest = 2**63 - 1
    for field in ("step", "epoch", "batch", "lanes", "parts", "vocabulary"):
        for value in (-1, highest):
            assert trained.resume(changed(block, **{field: value})) in (DAMAGED, OTHER), field
    assert trained.resume(changed(block, seed=4)) == OTHER
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


def test_a_run_that_starts_from_a_model_file_has_its_weights(trained: Trained) -> None:
    trained.update(count=5)
    content, score = trained.model(), trained.core.textgen_trainer_score(trained.trainer)
    other = Trained(dropout=0.3)
    # What its threads made of the random weights must not stay.
    assert other.core.textgen_trainer_score(other.trainer) != score
    assert other.start_from(content) == (0, None)
    assert other.core.textgen_trainer_score(other.trainer) == score
    assert other.model(b"{}") == trained.model(b"{}")
    assert np.isfinite(other.update())
    other.close()


CHARACTERS = json.dumps(sorted(set(TEXT.decode())))


def test_new_symbols_get_the_means_of_the_others_and_their_frequency() -> None:
    first = Trained(corpus={"level": "character"}, layers=2, residual=1)
    first.update(count=9)
    known = len(json.loads(CHARACTERS))
    words = [*json.loads(CHARACTERS), " cat", "\u20ac", ""]
    options = {"level": "word", "vocabulary": json.dumps(words), "special": f'{{"unknown": {known + 2}}}'}
    text = TEXT + b"?" * 50
    other = Trained(text, corpus=options, layers=2, residual=1)
    assert other.start_from(first.model()) == (-1, "vocabulary")
    # The first run has words, too.
    first.close()
    first = Trained(corpus={"level": "word", "vocabulary": json.dumps(words[:-2])}, layers=2, residual=1)
    first.update(count=9)
    known += 1
    assert other.start_from(first.model()) == (0, None)
    before, after = arrays_of(first.model()), arrays_of(other.model())
    for name, array in before.items():
        found = after[name]
        if name == "embedding":
            mean = array.mean(0, keepdims=True, dtype=np.float64).astype(np.float32)
            expected = np.concatenate([array, mean, mean])
        elif name == "output_weights":
            mean = array.mean(1, keepdims=True, dtype=np.float64).astype(np.float32)
            expected = np.concatenate([array, mean, mean], 1)
        elif name == "output_bias":
            content = library().textgen_corpus_get_content(other.corpus)
            count = library().textgen_corpus_get_info(other.corpus).contents.training_tokens
            tokens = np.frombuffer(ctypes.string_at(content.training, count), np.uint8)
            counts = np.bincount(tokens, minlength=known + 2)
            bias = array.astype(np.float64)
            new = np.log(np.exp(bias).sum()) + np.log((counts[known:] + 0.5) / counts[:known].sum())
            expected = np.concatenate([bias, new])
            assert np.allclose(found, expected, rtol=1e-6, atol=0)
            continue
        else:
            expected = array
        assert np.array_equal(found, expected), name
    first.close()
    other.close()


def test_only_a_model_of_the_same_network_and_vocabulary_is_a_start(trained: Trained) -> None:
    content, block = trained.model(), trained.save()
    for name, value in {"units": 13, "layers": 2, "embedding": 5}.items():
        options: dict[str, Any] = {name: value}
        other = Trained(**options)
        assert other.start_from(content) == (INVALID, name)
        other.close()
    deep, other = Trained(layers=2), Trained(layers=2, residual=1)
    assert other.start_from(deep.model()) == (INVALID, "residual")
    lines = b"".join(b"line %d\n" % i for i in range(400))
    with_records = Trained(lines, records="lines")
    assert with_records.start_from(content) == (0, None)
    assert trained.start_from(with_records.model()) == (INVALID, "vocabulary")
    characters = Trained(corpus={"level": "character"})
    assert trained.start_from(characters.model()) == (INVALID, "vocabulary")
    for damaged in (b"", b"\x08", content[:-1], content.replace(b"Gather", b"Gathes")):
        assert trained.start_from(damaged)[0] < INVALID
    assert trained.save() == block
    trained.update()
    assert trained.start_from(content)[0] == INVALID
    for trainer in (deep, other, with_records, characters):
        trainer.close()


@pytest.mark.parametrize("records", [None, "lines"])
def test_a_teacher_is_learned_from_at_the_places_of_the_targets(records: str | None) -> None:
    text = b"".join(b"%d is %d squared\n" % (i * i, i) for i in range(300))

    def losses(shift: int | None, *, has_tokens: bool = True) -> list[float]:
        """Learn from a teacher that is certain of the token after so many others."""
        trainer = Trained(text, records=records, dropout=0)
        info = library().textgen_corpus_get_info(trainer.corpus).contents
        content = library().textgen_corpus_get_content(trainer.corpus)
        assert content.bytes == (2 if records else 1)
        data = ctypes.string_at(content.training, info.training_tokens * content.bytes)
        tokens = np.roll(np.frombuffer(data, f"u{content.bytes}"), -(shift or 0))
        shares = np.full(len(tokens), 65535, np.uint16)
        if not has_tokens:
            shares = np.zeros((len(tokens), info.vocabulary), np.uint16)
            shares[np.arange(len(tokens)), tokens] = 65535
        if shift is not None:
            code = trainer.core.textgen_trainer_teach(
                trainer.trainer,
                address(shares),
                address(tokens) if has_tokens else None,
                c_size_t(1 if has_tokens else info.vocabulary),
                c_double(0.75),
                None,
            )
            assert code == 0
        found = [trainer.update() for _ in range(40)]
        trainer.close()
        return found

    expected = losses(None)
    assert losses(0) == pytest.approx(expected, rel=1e-3)
    assert losses(0, has_tokens=False) == pytest.approx(expected, rel=1e-3)
    assert losses(1)[-1] > expected[-1] + 0.3


def test_only_predictions_of_the_vocabulary_are_learned_from(trained: Trained) -> None:
    shares = np.zeros(99999, np.uint16)
    for tokens, columns, weight, name in (
        (None, 255, 0.5, "columns"),
        (address(shares), 257, 0.5, "columns"),
        (address(shares), 0, 0.5, "columns"),
        (address(shares), 2, 1.5, "weight"),
        (address(shares), 2, float("nan"), "weight"),
    ):
        error = Error()
        arguments = (
            trained.trainer,
            address(shares),
            tokens,
            c_size_t(columns),
            c_double(weight),
            byref(error),
        )
        assert trained.core.textgen_trainer_teach(*arguments) == INVALID
        assert error.parameter.decode() == name


@pytest.mark.parametrize("records", [None, "lines"])
def test_the_loss_of_the_start_is_that_of_a_text_of_only_the_start(records: str | None) -> None:
    lines = b"".join(b"%d is %d squared\n" % (i * i, i) for i in range(300))
    held_out = b"the first\na\nthe end"
    options = {"held_out_text": held_out, "level": "byte"}
    trainer = Trained(lines, records=records, corpus=options)
    trainer.update(count=5)
    # A record has its end, and only complete ones count. The first token of a continuous text is not scored.
    for tokens, size in (10, 10), (11, 12), (99, len(held_out)):
        start = held_out[:size] if records else held_out[: tokens + 1]
        other = Trained(lines, records=records, corpus={**options, "held_out_text": start})
        assert other.start_from(trainer.model()) == (0, None)
        info = library().textgen_corpus_get_info(other.corpus).contents
        assert info.held_out_tokens == (size + (tokens == 99) if records else min(tokens, len(held_out) - 1))
        expected = trainer.core.textgen_trainer_score(other.trainer) * info.held_out_characters
        found = trainer.core.textgen_trainer_score_start(trainer.trainer, c_size_t(tokens))
        assert found == pytest.approx(expected / info.held_out_tokens, rel=1e-5)
        other.close()
    assert np.isfinite(trainer.core.textgen_trainer_score_start(trainer.trainer, c_size_t(0)))
    trainer.close()


def quantized(content: bytes, more: dict[str, str] | None = None) -> bytes | tuple[int, str | None]:
    """Return a model file with 8-bit weights; or the code and the parameter of the error."""
    texts = [text.encode() for entry in (more or {}).items() for text in entry]
    entries = (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
    size, error = c_size_t(), Error()
    converted = None
    for _ in range(2):
        code = library().textgen_quantize(
            content, c_size_t(len(content)), entries, converted, byref(size), byref(error)
        )
        if code:
            return code, error.parameter and error.parameter.decode()
        converted = converted or ctypes.create_string_buffer(size.value)
    assert converted
    return converted.raw


def quantized_rows(rows: NDArray[np.float32], *, bounds_pairs: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the 8-bit weights and the scales of rows."""

    def pairs(values: NDArray[Any]) -> NDArray[Any]:
        even = values[:, : values.shape[1] // 2 * 2]
        largest: NDArray[Any] = np.abs(even[:, ::2] + even[:, 1::2]).max(1, initial=0)
        return largest * bounds_pairs

    exact = rows.astype(np.float64)
    scales = np.maximum(np.abs(exact).max(1) / 127, pairs(exact) / 129)
    scales = np.maximum(scales, np.finfo(np.float32).tiny).astype(np.float32)
    while True:
        weights = np.rint(exact / scales[:, None].astype(np.float64))
        exceeds = (np.abs(weights).max(1) > 127) | (pairs(weights) > 129)
        if not exceeds.any():
            return weights.astype(np.int8), scales
        scales[exceeds] *= np.float32(1 + 2**-14)


@pytest.mark.parametrize("sizes", [{}, {"layers": 3, "residual": 1, "units": 37, "embedding": 5}])
def test_8_bit_weights_are_the_nearest_within_the_bounds(sizes: dict[str, Any]) -> None:
    trainer = Trained(corpus={"level": "character"}, **sizes)
    trainer.update(count=20)
    content = trainer.model()
    converted = quantized(content, {"textgen.training": "{}", "other": "1"})
    assert isinstance(converted, bytes)
    exact, found = arrays_of(content), arrays_of(converted)
    for name, array in exact.items():
        if array.ndim == 1 or "bias" in name:
            assert np.array_equal(found[name], array)
            continue
        rows = array.T if name == "output_weights" else array.reshape(-1, array.shape[-1])
        weights, scales = quantized_rows(rows, bounds_pairs=name != "embedding")
        weights = weights.T if name == "output_weights" else weights.reshape(array.shape)
        assert np.array_equal(found[f"{name}_int8"], weights), name
        assert np.array_equal(found[f"{name}_scale"], scales), name
    model = onnx.load_from_string(converted)
    onnx.checker.check_model(model, full_check=True)
    before = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    after = {entry.key: entry.value for entry in model.metadata_props}
    assert after == {**before, "textgen.format": "2", "textgen.training": "{}", "other": "1"}
    texts = {
        engine: textgen.predict(textgen.load(converted, engine=engine), "the cat sat").surprisals.sum()
        for engine in ("native", "onnxruntime")
    }
    assert texts["native"] == pytest.approx(texts["onnxruntime"], rel=0.02)
    assert quantized(converted) == (INVALID, None)
    # A run can start from 8-bit weights.
    other = Trained(corpus={"level": "character"}, **sizes)
    assert other.start_from(converted) == (0, None)
    started = arrays_of(other.model())
    assert np.array_equal(
        started["recurrent_0"], found["recurrent_0_int8"] * found["recurrent_0_scale"][:, None]
    )
    assert np.array_equal(
        started["output_weights"], found["output_weights_int8"] * found["output_weights_scale"]
    )
    assert np.array_equal(started["embedding"], found["embedding_int8"] * found["embedding_scale"][:, None])
    trainer.close()
    other.close()


def test_damaged_model_files_are_neither_converted_nor_a_start(trained: Trained) -> None:
    content, rng = trained.model(), np.random.default_rng(4)
    counts = [0, 0]
    for i in range(300):
        damaged = bytearray(content)
        # Most bytes are weights: NaN and infinity are among the damaged ones.
        for place in rng.integers(0, len(damaged) - 4, 2):
            damaged[place : place + 4] = [b"\xff\xff\xff\xff", b"\0\0\x80\x7f", b"abcd"][rng.integers(3)]
        result = quantized(bytes(damaged[: len(damaged) - i % 2]))
        assert (trained.start_from(bytes(damaged[: len(damaged) - i % 2]))[0] == 0) == isinstance(
            result, bytes
        )
        counts[isinstance(result, bytes)] += 1
    assert min(counts) > 20, counts
