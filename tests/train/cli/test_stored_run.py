"""The description of a run in its checkpoint: it is read as it was written, and each change is told."""

from dataclasses import asdict
from functools import partial
from itertools import islice
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

from tests.helpers.checkpoint_files import changes, message
from tests.helpers.train_command import TEXT

# All changes take seconds. With a stride that is a prime number, each kind of change is tested.
STRIDE = 13


@pytest.fixture
def description() -> dict[str, Any]:
    """The description of a run that started from a model."""
    arguments = parser().parse_args(["book.txt", "--from", "nietzsche", "--epochs", "2"])
    arguments.words = ["textgen-train", "book.txt"]
    corpus = Corpus.from_text("book.txt", TEXT)
    dataset = make_dataset(corpus, Normalization())
    provenance = Provenance(corpus, 0.1, dataset, Recipe(), 0, parent={"sha256": "ab", "corpus": None})
    return asdict(describe_run(arguments, provenance, Budget(epochs=2), threads=1, expected_epochs=2))


def test_every_change_is_harmless_or_one_line(description: dict[str, Any]) -> None:
    def read(values: dict[str, Any]) -> int:
        stored = StoredRun.from_dict(values)
        stored.read_tokenizer()
        epochs: int = stored.read_arguments(parser().parse_args([])).epochs
        return epochs

    assert read(description) == 2
    told = 0
    for change, changed in islice(changes(description), 0, None, STRIDE):
        line = message(partial(read, changed))
        if line is not None:
            assert line.startswith("the checkpoint is from another version of textgen-train ("), change
            assert "\n" not in line, change
            told += 1
    assert told > 50


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
    with pytest.raises(TrainingError) as caught:
        StoredRun.from_dict(description)
    assert f"another version of textgen-train ({reason}" in str(caught.value)


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
