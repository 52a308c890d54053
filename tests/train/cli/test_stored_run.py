"""The description of a run in its checkpoint: it is read as it was written, and each change is told."""

from dataclasses import asdict
from typing import Any

import pytest
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.normalization import Normalization
from textgen_train.cli._arguments import parser
from textgen_train.cli._stored_options import from_options, to_options
from textgen_train.cli._stored_run import StoredRun, describe_run
from textgen_train.data.preparation import make_dataset
from textgen_train.errors import TrainingError
from textgen_train.loop.provenance import Provenance
from textgen_train.recipe import Budget, Recipe

from tests.helpers.train_command import TEXT


@pytest.fixture
def description() -> dict[str, Any]:
    """The description of a run that started from a model."""
    arguments = parser().parse_args(["book.txt", "--from", "nietzsche", "--epochs", "2"])
    arguments.words = ["textgen-train", "book.txt"]
    corpus = Corpus.from_text("book.txt", TEXT)
    dataset = make_dataset(corpus, Normalization())
    provenance = Provenance(corpus, 0.1, dataset, Recipe(), 0, parent={"sha256": "ab", "corpus": None})
    return asdict(describe_run(arguments, provenance, Budget(epochs=2), threads=1, expected_epochs=2))


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
        ("epochs", "many", "argument --epochs: must be an integer, not 'many'"),
        ("device", "abacus", "argument --device: invalid choice: 'abacus' (choose from "),
        ("lowercase", "no", "argument --lowercase: ignored explicit argument 'no'"),
        ("threads", 0, "the option threads has an invalid value"),
        ("words", "textgen-train", "the option words has an invalid value"),
        ("corpus", None, "the option corpus has an invalid value"),
        ("seed", [1], "the option seed has an invalid value"),
        ("resume", "out", "the option resume is unknown"),
        ("help", True, "the option help is unknown"),
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
        ("recipe", "units", 0, "units must be an integer from 1 to 16384, not 0"),
        ("parent", "metadata", {}, "not a text generator"),
        ("parent", "provenance", [], "'parent.provenance' has an invalid value"),
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
        ["b", "--recipe", "classic", "--held-out-file=-x", "--learning-rate", "1e-3", "--extend"],
    ],
)
def test_options_are_read_as_they_were_written(words: list[str]) -> None:
    arguments = parser().parse_args(words)
    # Several processes can have more threads than one.
    arguments.threads, arguments.words = 1000, ["textgen-train", *words]
    assert from_options(to_options(arguments)) == arguments
