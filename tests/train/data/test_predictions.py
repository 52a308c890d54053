"""The file of the predictions of trained models."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray
from textgen_runtime.system.files import replacing_file
from textgen_train.data.predictions import (
    LIKELIEST,
    Form,
    Predictions,
    PredictionWriter,
    hash_tokens,
    read_predictions,
)

TEACHERS, TEXT = ["ab" * 32, "cd" * 32], "ef" * 32


def probabilities(count: int, symbols: int) -> NDArray[np.float32]:
    values = np.random.default_rng(0).exponential(size=(count, symbols)).astype(np.float32)
    values /= values.sum(axis=1, keepdims=True)
    return values


def write(path: Path, values: NDArray[np.float32]) -> Form:
    """Write predictions in two parts, the last one first. The first row has none."""
    form = Form(len(values) + 1, values.shape[1])
    with replacing_file(path) as file:
        writer = PredictionWriter(file, form, TEACHERS, TEXT)
        writer.write(4, values[3:])
        writer.write(1, values[:3])
        writer.finish()
    return form


def read(path: Path, form: Form) -> Predictions:
    predictions = read_predictions(path, form, TEACHERS, TEXT)
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
    (stored,) = safetensors.numpy.load_file(path).values()
    np.testing.assert_array_equal(stored[1:], values.astype(np.float16))


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
    assert set(safetensors.numpy.load_file(path)) == {"probabilities", "tokens"}


@pytest.mark.parametrize("change", ["missing", "empty", "a byte", "truncated", "teachers", "text", "form"])
def test_a_file_that_is_damaged_or_of_other_models_is_not_used(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file"
    form = write(path, probabilities(6, 5))
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    if change == "missing":
        path.unlink()
    elif change in {"empty", "a byte", "truncated"}:
        path.write_bytes(content[: {"empty": 0, "truncated": len(content) - 1}.get(change, len(content))])
    teachers = TEACHERS[::-1] if change == "teachers" else TEACHERS
    text = "00" * 32 if change == "text" else TEXT
    if change == "form":
        form = Form(5, 7)
    assert read_predictions(path, form, teachers, text) is None


def test_the_hash_is_that_of_the_tokens() -> None:
    tokens = np.arange(2**20 + 9, dtype=np.uint32)
    assert hash_tokens(tokens) == hash_tokens(tokens.copy())
    assert hash_tokens(tokens) != hash_tokens(np.append(tokens[:-1], tokens[:1]))
