"""The description of a training run in its checkpoint, from which another process resumes the run."""

import argparse
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen_runtime import __version__
from textgen_runtime.corpora.corpus import CORPUS_NAMES, Corpus, read_corpus
from textgen_runtime.errors import CorpusError, ModelFileError, first_line, quote
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.system.json_text import to_json
from textgen_runtime.system.text_files import STANDARD_INPUT
from textgen_runtime.text.levels import BYTE
from textgen_runtime.text.records import RecordKind
from textgen_runtime.text.tokenizer import Tokenizer

from textgen_train.data.dataset import Dataset
from textgen_train.errors import TrainingError, extended
from textgen_train.loop.typed_values import from_plain
from textgen_train.recipe import AnyRecipe, Budget

from ._recipe_arguments import RECIPES
from ._stored_options import from_options, to_options

if TYPE_CHECKING:
    from textgen_train.loop.provenance import Provenance

# The arguments that name texts.
TEXTS = ("corpus", "held_out_file")


@dataclass(frozen=True)
class StoredText:
    """The name and the SHA-256 of a text of a run."""

    name: str
    sha256: str


@dataclass(frozen=True)
class StoredParent:
    """The model from which a run started.

    Attributes:
        provenance: What the model file of the run states of that model.
        metadata: The metadata of the model file of the run, whose vocabulary the run uses.
    """

    provenance: dict[str, str | None]
    metadata: dict[str, str]


@dataclass(frozen=True)
class StoredRun:
    """A run as its checkpoint describes it. All values can be represented as JSON.

    Attributes:
        name: The name of the run in its provenance.
        options: All arguments of the command line that belong to the run. Paths of texts are absolute. The
            budget and the number of threads of all processes are those of the run, even if they were not
            given.
        texts: The text of each argument of ``TEXTS`` that was given.
        vocabulary: SHA-256 of the vocabulary.
        recipe: The hyperparameters, and the name of the recipe.
        environment: Versions and properties of the processor on which rounding depends.
        parent: The model from which the run started; None for random weights.
        expected_epochs: The number of epochs for which the recipe was chosen; None if it was not known.
    """

    name: str
    options: dict[str, Any]
    texts: dict[str, StoredText]
    vocabulary: str
    recipe: dict[str, Any]
    environment: dict[str, str]
    parent: StoredParent | None = None
    expected_epochs: float | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StoredRun":
        """Create a description from the content of a checkpoint.

        Raises:
            TrainingError: If it is not the description of a run of this version.
        """
        try:
            run = from_plain(cls, values)
            run.read_recipe()
            run.read_tokenizer()
            run.check_options()
        except (KeyError, TypeError, ValueError, ModelFileError) as error:
            raise TrainingError(
                f"the checkpoint is from another version of textgen-train ({first_line(error)}): resume the "
                "run with that version, or start it again with --overwrite"
            ) from error
        return run

    def check_options(self) -> None:
        """Check the options.

        Raises:
            ValueError: If an option is unknown or invalid, or if the texts are not those of the options.
        """
        arguments = from_options(self.options)
        if any((getattr(arguments, name) is None) == (name in self.texts) for name in TEXTS):
            raise ValueError("'texts' does not fit the options")

    def read_recipe(self) -> AnyRecipe:
        """Return the recipe of the run."""
        values = dict(self.recipe)
        recipe: AnyRecipe = {known.name: known for known in RECIPES}[values.pop("name")](**values)
        return recipe

    @property
    def parent_provenance(self) -> dict[str, Any] | None:
        """What is known of the model from which the run started; None for other runs."""
        return None if self.parent is None else self.parent.provenance

    def read_tokenizer(self) -> Tokenizer | None:
        """Return the vocabulary of a run that started from a model; None for other runs."""
        if self.parent is None:
            return None
        return Metadata.from_props(self.parent.metadata).tokenizer

    def read_arguments(self, given: argparse.Namespace) -> argparse.Namespace:
        """Return the arguments of the run. Given arguments that name texts replace those of the run."""
        arguments = from_options(self.options)
        for name in TEXTS:
            if getattr(given, name) is not None:
                if name not in self.texts:
                    raise TrainingError(
                        "the run has no separate held-out text: resume it without --held-out-file"
                    )
                setattr(arguments, name, getattr(given, name))
            elif getattr(arguments, name) == STANDARD_INPUT:
                option = "-" if name == "corpus" else "--held-out-file -"
                raise TrainingError(
                    f"a text of the run was standard input: pass it again, with {option} --resume FOLDER"
                )
        return arguments

    def find_text(
        self, argument: str, source: str, folder: Path, *, level: str, records: RecordKind | None
    ) -> Corpus:
        """Find a text of the run.

        Args:
            argument: One of ``TEXTS``.
            source: The value of this argument.
            folder: Where a large text from a pipe is stored.
            level: The level of the run. Any file is a text at the level of bytes.
            records: The kind of records of the run.

        Raises:
            CorpusError: If the text is not available.
        """
        try:
            return read_corpus(source, folder, any_bytes=level == BYTE, records=records)
        except CorpusError as error:
            raise extended(error, f"; {_hint(argument)}") from error

    def check_texts(self, corpus: Corpus, held_out: object) -> None:
        """Check that the texts have not changed since the run began, and restore their names.

        Args:
            corpus: The corpus.
            held_out: The held-out text if it is separate; any other object otherwise.

        Raises:
            CorpusError: If a text is another one.
        """
        for argument, text in zip(TEXTS, (corpus, held_out), strict=True):
            if not isinstance(text, Corpus):
                continue
            stored = self.texts[argument]
            if text.sha256 != stored.sha256:
                raise CorpusError(
                    f"{text.name} is not the text of the run, or has changed: its SHA-256 is "
                    f"{text.sha256[:12]}..., not {stored.sha256[:12]}...; {_hint(argument)}"
                )
            text.name = stored.name

    def check_vocabulary(self, dataset: Dataset) -> None:
        """Check that the text has the same symbols as when the run began.

        Raises:
            TrainingError: If it does not.
        """
        if vocabulary_hash(dataset) != self.vocabulary:
            raise TrainingError(
                "the text has another vocabulary than when the run began: resume the run with the versions "
                "of textgen-train and Python that it had, or start it again with --overwrite"
            )

    def environment_changes(self) -> list[str]:
        """Return the differences between the environment of the run and the current one, as phrases."""
        current = describe_environment()
        return [
            f"{name} {quote(self.environment.get(name))} became {quote(current.get(name))}"
            for name in sorted({*current, *self.environment})
            if current.get(name) != self.environment.get(name)
        ]


def describe_run(
    arguments: argparse.Namespace,
    provenance: "Provenance",
    budget: Budget,
    threads: int,
    expected_epochs: float | None,
) -> StoredRun:
    """Return the description of a run.

    Args:
        arguments: The arguments of the command line.
        provenance: Data and hyperparameters of the run.
        budget: The budget of the run.
        threads: The number of threads that it uses in all processes.
        expected_epochs: The number of epochs for which the recipe was chosen; None if it was not known.
    """
    options = to_options(arguments)
    options.update({name: absolute_source(options[name]) for name in TEXTS if options[name] is not None})
    options.update(asdict(budget), threads=threads)
    corpora = {"corpus": provenance.corpus, "held_out_file": provenance.held_out}
    return StoredRun(
        name=provenance.run,
        options=options,
        texts={
            name: StoredText(corpus.name, corpus.sha256)
            for name, corpus in corpora.items()
            if isinstance(corpus, Corpus)
        },
        vocabulary=vocabulary_hash(provenance.dataset),
        recipe={"name": provenance.recipe.name, **asdict(provenance.recipe)},
        environment=describe_environment(),
        parent=_describe_parent(provenance),
        expected_epochs=expected_epochs,
    )


def _describe_parent(provenance: "Provenance") -> StoredParent | None:
    if provenance.parent is None:
        return None
    dataset = provenance.dataset
    metadata = Metadata(dataset.tokenizer, dataset.normalization, records=dataset.records)
    return StoredParent(dict(provenance.parent), metadata.to_props())


def _hint(argument: str) -> str:
    option = "CORPUS" if argument == "corpus" else "--held-out-file TEXT"
    return f"if the text has moved, pass it with {option} --resume FOLDER"


def absolute_source(source: str) -> str:
    """Return the source of a corpus such that it is valid in any working directory."""
    return source if source in (*CORPUS_NAMES, STANDARD_INPUT) else os.path.abspath(source)  # noqa: PTH100 (keeps links)


def vocabulary_hash(dataset: Dataset) -> str:
    """Return the SHA-256 of the vocabulary of a dataset."""
    return hashlib.sha256(to_json(list(dataset.tokenizer.symbols)).encode()).hexdigest()


def describe_environment() -> dict[str, str]:
    """Return the versions and the properties of the processor on which rounding depends."""
    import torch

    from textgen_train.models.precision import has_bfloat16

    return {
        "textgen-onnx": __version__,
        "torch": str(torch.__version__),
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": "yes" if has_bfloat16() else "no",
    }
