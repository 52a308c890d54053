"""The file of the predictions of trained models."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.files import replacing_file
from textgen_train.data import predictions as module
from textgen_train.data.predictions import (
    LIKELIEST,
    Form,
    Predictions,
    PredictionWriter,
    identify,
    read_predictions,
)

IDENTITY = "ab" * 32


def probabilities(count: int, symbols: int) -> NDArray[np.float32]:
    values = np.random.default_rng(0).exponential(size=(count, symbols)).astype(np.float32)
    values /= values.sum(axis=1, keepdims=True)
    return values


def write(path: Path, values: NDArray[np.float32]) -> Form:
    """Write predictions in two parts, the last one first. The first row has none."""
    form = Form(len(values) + 1, values.shape[1])
    with replacing_file(path) as file:
        writer = PredictionWriter(file, form, IDENTITY)
        writer.write(4, values[3:])
        writer.write(1, values[:3])
        writer.finish()
    return form


def read(path: Path, form: Form) -> Predictions:
    predictions = read_predictions(path, form, IDENTITY)
    assert predictions is not None
    return predictions


@pytest.mark.parametrize("symbols", [5, 256])
def test_a_small_vocabulary_has_all_probabilities(tmp_path: Path, symbols: int) -> None:
    path, values = tmp_path / "file", probabilities(6, symbols)
    form = write(path, values)
    assert form.total_bytes == 7 * symbols * 2
    predictions = read(path, form)
    (rows,) = predictions.rows(np.array([0, 5, 2]))
    np.testing.assert_array_equal(rows, np.stack([0 * values[0], values[4], values[1]]).astype(np.float16))
    # A row that was released is read again.
    predictions.release()
    np.testing.assert_array_equal(predictions.rows(np.array([6]))[0], values[5:].astype(np.float16))


@pytest.mark.parametrize(("symbols", "token_bytes"), [(257, 2), (70_000, 4)])
def test_a_large_vocabulary_has_the_likeliest_tokens(tmp_path: Path, symbols: int, token_bytes: int) -> None:
    path, values = tmp_path / "file", probabilities(6, symbols)
    form = write(path, values)
    assert form.total_bytes == 7 * LIKELIEST * (2 + token_bytes)
    rows, tokens = read(path, form).rows(np.arange(1, 7))
    order = np.argsort(tokens, axis=1)
    expected = np.sort(np.argsort(-values, axis=1)[:, :LIKELIEST], axis=1)
    np.testing.assert_array_equal(np.take_along_axis(tokens, order, axis=1), expected)
    np.testing.assert_array_equal(
        np.take_along_axis(rows, order, axis=1),
        np.take_along_axis(values, expected, axis=1).astype(np.float16),
    )


def test_the_memory_of_a_file_is_released_while_it_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = write(tmp_path / "file", probabilities(6, 5))
    released: list[object] = []
    monkeypatch.setattr(module, "BLOCK", 20)
    monkeypatch.setattr(module, "release_pages", released.append)
    read(tmp_path / "file", form)
    assert len(released) == -(-form.total_bytes // 20)


@pytest.mark.parametrize("change", ["missing", "empty", "a byte", "truncated", "identity"])
def test_a_file_that_is_damaged_or_of_other_models_is_not_used(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file"
    form = write(path, probabilities(6, 5))
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    if change == "missing":
        path.unlink()
    elif change in {"empty", "a byte", "truncated"}:
        path.write_bytes(content[: {"empty": 0, "truncated": len(content) - 1}.get(change, len(content))])
    identity = "cd" * 32 if change == "identity" else IDENTITY
    assert read_predictions(path, form, identity) is None


def test_the_identity_is_that_of_the_tokens_the_models_and_the_form() -> None:
    tokens = np.arange(2**20 + 9, dtype=np.uint32)

    def identity(symbols: int = 9, teachers: str = "a b", text: NDArray[np.uint32] = tokens) -> str:
        return identify(Form(len(text), symbols), teachers.split(), text)

    assert identity() == identity(text=tokens.copy())
    others = [identity(8), identity(teachers="b a"), identity(text=np.append(tokens[:-1], tokens[:1]))]
    assert len({identity(), *others}) == 4
