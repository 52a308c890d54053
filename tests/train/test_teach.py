"""The predictions of teachers for a text, against float64 from the start of the text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.corpus import PREDICTIONS_FILE
from textgen_runtime.model import Model, open_model
from textgen_train import teach as module
from textgen_train._core import Trainer
from textgen_train.dataset import Dataset
from textgen_train.errors import TrainingError
from textgen_train.teach import LIKELIEST, Predictions, read_teachers

from tests.helpers.short_runs import NETWORK, TEXT, make_run

WIDE = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) * 3
NAMES = "".join(f"na{i % 7}me{i}\n" for i in range(120))


def models_of(dataset: Dataset) -> list[Model]:
    values = {"precision": 0, **NETWORK}
    recipe = {name: value for name, value in dataset.config.choose_recipe().items() if name != "cell"}
    trainers = [Trainer(dataset.tokens, {**recipe, **values}, seed, 1) for seed in (1, 2)]
    for trainer in trainers:
        for _ in range(40):
            trainer.update(0.1)
    return [open_model(trainer.model("{}")) for trainer in trainers]


def expected_rows(dataset: Dataset, models: list[Model]) -> NDArray[np.float64]:
    """Return the mean probabilities of each token, given all tokens before it in its text or record."""
    special, tokens = dataset.tokenizer.special, np.array(dataset.tokens.training, np.int64)
    cuts: Any = [] if special.end is None else np.flatnonzero(tokens == special.end)[:-1] + 1
    rows = [] if special.end else [np.zeros((1, len(dataset.tokenizer)))]
    for part in np.split(tokens, cuts):
        inputs = (part[:-1] if special.begin is None else np.append(special.begin, part[:-1]))[:, np.newaxis]
        shares = []
        for model in models:
            logits = model.engine.forward(inputs, model.engine.initial_state(1))[0][:, 0].astype(np.float64)
            exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares.append(exponentials / exponentials.sum(axis=1, keepdims=True))
        rows.append(np.mean(shares, axis=0))
    return np.concatenate(rows)


@pytest.mark.parametrize("lanes", [1, 5])
@pytest.mark.parametrize(
    ("text", "records"), [(TEXT, None), (NAMES, "lines"), (WIDE, None)], ids=["text", "records", "wide"]
)
def test_the_predictions_are_the_mean_of_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, records: Any, lanes: int
) -> None:
    """Of several lanes, each begins with the context before it."""
    monkeypatch.setattr(module, "LANES", lanes)
    monkeypatch.setattr(module, "CONTEXT", 40)
    monkeypatch.setattr(module, "STEPS", 37)
    dataset = make_run(tmp_path, text=text, records=records).dataset
    models = models_of(dataset)
    predictions = Predictions(tmp_path, dataset, ["a", "b"])
    assert predictions.read() is None
    shown: list[float] = []
    predictions.write(models, shown.append)
    assert shown == sorted(shown)
    assert shown[-1] <= 1
    found = predictions.read()
    assert found is not None
    assert (tmp_path / PREDICTIONS_FILE).stat().st_size == predictions.size
    rows = np.frombuffer(found[0], np.uint16).reshape(-1, predictions.columns) / 65535.0
    expected = expected_rows(dataset, models)
    if found[1] is not None:
        tokens = np.frombuffer(found[1], np.uint16).reshape(-1, LIKELIEST).astype(np.int64)
        smallest = np.sort(expected, axis=1)[:, -LIKELIEST]
        expected = np.take_along_axis(expected, tokens, axis=1)
        assert all(len({*row}) == LIKELIEST for row in tokens)
        assert (expected[1:].min(axis=1) >= smallest[1:] - 1e-4).all()
    if records is None:
        assert not rows[0].any()
        rows, expected = rows[1:], expected[1:]
    assert predictions.columns == (LIKELIEST if text is WIDE else len(dataset.tokenizer))
    # An exact start differs from the rows after a context of 40 tokens by the network's memory of older ones.
    assert np.abs(rows - expected).max() < (2e-5 if lanes == 1 or records else 2e-3)
    predictions.remove()
    assert predictions.read() is None


@pytest.mark.parametrize("change", ["empty", "truncated", "longer", "start", "models", "text", "share"])
def test_a_damaged_or_foreign_file_is_not_used(tmp_path: Path, change: str) -> None:
    dataset = make_run(tmp_path).dataset
    predictions = Predictions(tmp_path, dataset, ["a", "b"])
    path, content = tmp_path / PREDICTIONS_FILE, b""
    predictions.write(models_of(dataset)[:1], lambda _: None)
    assert predictions.read() is not None
    content = path.read_bytes()
    changed = {
        "empty": b"",
        "truncated": content[:-1],
        "longer": content + b"\0",
        "start": b"x" + content[1:],
    }
    path.write_bytes(changed.get(change, content))
    others: dict[str, dict[str, Any]] = {"text": {"text": TEXT[::-1]}, "share": {"held_out": 0.100001}}
    other = others.get(change, {})
    dataset = make_run(tmp_path, **other).dataset if other else dataset
    assert Predictions(tmp_path, dataset, ["b", "a"] if change == "models" else ["a", "b"]).read() is None


def test_an_interrupt_or_a_model_without_numbers_leaves_no_file(tmp_path: Path) -> None:
    dataset = make_run(tmp_path).dataset
    (model, _) = models_of(dataset)
    before = {*tmp_path.iterdir()}

    def interrupt(share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Predictions(tmp_path, dataset, []).write([model], interrupt)
    forward = model.engine.forward
    model.engine.forward = lambda *values: (forward(*values)[0] * np.nan, forward(*values)[1])  # type: ignore[method-assign]
    with pytest.raises(TrainingError):
        Predictions(tmp_path, dataset, []).write([model], lambda _: None)
    assert {*tmp_path.iterdir()} == before


def test_teachers_have_the_vocabulary_of_the_text(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    source = str(tmp_path / "model.onnx")
    (tmp_path / "other").mkdir()
    good, other = (
        make_run(folder, text=text, teachers=[source, source])
        for folder, text in ((tmp_path, TEXT), (tmp_path / "other", TEXT + "?"))
    )
    teachers = read_teachers(good.config, good.dataset)
    assert [teacher.origin["sha256"] for teacher in teachers] == [run_hash(source)] * 2
    assert teachers[0].origin["source"] == f"{tmp_path.name}/model.onnx"
    assert not read_teachers(run.config, run.dataset)
    with pytest.raises(TrainingError) as caught:
        read_teachers(other.config, other.dataset)
    assert caught.value.parameter == "teachers"
    assert "?" in str(caught.value)


def run_hash(path: str) -> str:
    from hashlib import sha256

    return sha256(Path(path).read_bytes()).hexdigest()
