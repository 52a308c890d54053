"""The description of a run in its checkpoint: it is read as it was written, and each change is told."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.text import Normalization
from textgen_train.cli._arguments import parse
from textgen_train.cli._stored_run import StoredRun, describe_run
from textgen_train.cli._texts import Texts
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.errors import CorpusError, TrainingError
from textgen_train.loop.specification import RunSpecification
from textgen_train.options import RunOptions
from textgen_train.parameters import from_plain, to_plain
from textgen_train.recipe import Recipe

from tests.helpers.train_command import TEXT


@pytest.fixture
def description() -> dict[str, Any]:
    """The description of a run that started from a model."""
    options = RunOptions("book.txt", parent="nietzsche", epochs=2)
    corpus = Corpus.from_text("book.txt", TEXT)
    dataset = make_dataset(corpus, Normalization())
    parent = {"sha256": "ab", "corpus": None}
    words = ["textgen-train", "book.txt"]
    specification = RunSpecification(options, corpus, None, dataset, Recipe(), 2, words, parent=parent)
    return asdict(describe_run(specification, "cpu", 1))


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
        ("epochs", "many", "--epochs must be an integer of 1 or more and below 2^63, not 'many'"),
        ("device", "abacus", "--device must be one of auto, cpu, cuda, mps, not 'abacus'"),
        ("hyperparameters", {"window": 40}, "--window is not an option of the default recipe"),
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
        ("recipe", "units", 0, "--units must be an integer from 1 to 16384, not 0"),
        ("parent", "metadata", {}, ""),
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


def test_a_run_reads_its_texts_in_any_folder_and_those_that_have_moved(description: dict[str, Any]) -> None:
    stored = StoredRun.from_dict(description)
    assert stored.read_options({}).corpus == str(Path("book.txt").absolute())
    assert stored.read_options({"corpus": "novel.txt"}).corpus == "novel.txt"
    with pytest.raises(TrainingError, match="no separate held-out text: resume it without --held-out-file"):
        stored.read_options({"held_out_file": "other.txt"})


def test_standard_input_is_passed_again(description: dict[str, Any]) -> None:
    description["options"]["corpus"] = "-"
    stored = StoredRun.from_dict(description)
    with pytest.raises(TrainingError, match="standard input: pass it again, with - --resume FOLDER"):
        stored.read_options({})
    assert stored.read_options({"corpus": "-"}).corpus == "-"


def test_the_processes_have_the_threads_of_the_run_together(description: dict[str, Any]) -> None:
    """There may be more than ``--threads`` allows in one process."""
    description["threads"] = 512
    stored = StoredRun.from_dict(description)
    corpus = Corpus.from_text("book.txt", TEXT)
    arguments = stored.read_options({}), Texts(corpus, None), make_dataset(corpus, Normalization())
    assert [stored.specify(*arguments, size).threads for size in (1, 2, 1000)] == [512, 256, 1]


def test_the_device_is_the_one_that_was_chosen(description: dict[str, Any]) -> None:
    assert StoredRun.from_dict(description).options.device == "cpu"


def test_another_text_and_another_vocabulary_are_told(description: dict[str, Any]) -> None:
    stored = StoredRun.from_dict(description)
    copy, other = Corpus.from_text("copy.txt", TEXT), Corpus.from_text("other.txt", TEXT[1:])
    stored.check_texts(Texts(copy, None))
    assert copy.name == "book.txt"
    message = "other.txt is not the text of the run, or has changed: its SHA-256 is .*; if the text has moved"
    with pytest.raises(CorpusError, match=message):
        stored.check_texts(Texts(other, None))
    stored.check_vocabulary(make_dataset(copy, Normalization()).tokenizer)
    with pytest.raises(TrainingError, match="the text has another vocabulary than when the run began"):
        stored.check_vocabulary(make_tokenizer("character", "ab"))


def test_another_environment_is_described(description: dict[str, Any]) -> None:
    assert StoredRun.from_dict(description).environment_changes() == []
    description["environment"] |= {"torch": "9.9"}
    (change,) = StoredRun.from_dict(description).environment_changes()
    assert change.startswith("torch '9.9' became '")
