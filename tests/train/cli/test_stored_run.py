"""The description of a run in its checkpoint: it is read as it was written, and each change is told."""

from dataclasses import asdict
from typing import Any

import pytest
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.normalization import Normalization
from textgen_train.cli._arguments import parse
from textgen_train.cli._stored_run import StoredRun, describe_run
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.errors import TrainingError
from textgen_train.loop.specification import RunSpecification
from textgen_train.options import RunOptions
from textgen_train.parameters import from_plain, to_plain
from textgen_train.recipe import Budget, Recipe

from tests.helpers.train_command import TEXT


@pytest.fixture
def description() -> dict[str, Any]:
    """The description of a run that started from a model."""
    options = RunOptions("book.txt", parent="nietzsche", epochs=2)
    corpus = Corpus.from_text("book.txt", TEXT)
    dataset = make_dataset(corpus, Normalization())
    parent = {"sha256": "ab", "corpus": None}
    specification = RunSpecification(corpus, 0.1, dataset, Recipe(), 0, parent=parent)
    words = ["textgen-train", "book.txt"]
    return asdict(describe_run(options, words, specification, Budget(epochs=2), 1, expected_epochs=2))


def assert_refused(description: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError) as caught:
        StoredRun.from_dict(description)
    line = str(caught.value)
    assert f"the checkpoint is from another version of textgen-train ({reason}" in line
    assert line.endswith("): resume the run with that version, or start it again with --overwrite")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("epochs", "many", "'options.epochs' has an invalid value"),
        ("device", "abacus", "--device must be one of auto, cpu, cuda, mps, not 'abacus'"),
        ("lowercase", "no", "'options.lowercase' has an invalid value"),
        ("threads", 0, "--threads must be an integer from 1 to 256, not 0"),
        ("corpus", None, "'options.corpus' has an invalid value"),
        ("seed", [1], "'options.seed' has an invalid value"),
        ("hyperparameters", {"window": 40}, "--window is not an option of the default recipe"),
        ("resume", "out", "'options.resume' is unknown"),
        ("held_out_file", "book.txt", "'texts' does not fit the options"),
    ],
)
def test_an_option_with_an_invalid_value_is_named(
    description: dict[str, Any], name: str, value: object, reason: str
) -> None:
    description["options"][name] = value
    assert_refused(description, reason)


@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("recipe", "quantum_dropout", 0.5, "Recipe.__init__() got an unexpected keyword argument"),
        ("recipe", "name", "quantum", "'quantum'"),
        ("recipe", "units", 0, "--units must be an integer from 1 to 16384, not 0"),
        ("parent", "metadata", {}, "not a text generator"),
        ("parent", "origin", [], "'parent.origin' has an invalid value"),
        ("texts", "corpus", None, "'texts.corpus' has an invalid value"),
        ("environment", "torch", 2, "'environment.torch' has an invalid value"),
    ],
)
def test_a_part_of_another_version_is_named(
    description: dict[str, Any], part: str, name: str, value: object, reason: str
) -> None:
    assert StoredRun.from_dict(description).read_recipe() == Recipe()
    description[part][name] = value
    assert_refused(description, reason)


@pytest.mark.parametrize(
    "words",
    [
        ["a b.txt", "--minutes", "0.1", "--residual", "--layers", "2", "--held-out", "0.05"],
        ["-", "--no-residual", "--lowercase", "--unicode", "none", "--seed", "7", "--tensorboard"],
        ["b", "--recipe", "classic", "--held-out-file=-x", "--learning-rate", "1e-3"],
    ],
)
def test_options_are_read_as_they_were_written(words: list[str]) -> None:
    options = parse(words).run
    assert from_plain(RunOptions, to_plain(options)) == options
