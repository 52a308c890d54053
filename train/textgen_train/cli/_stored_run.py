"""The description of a training run in its checkpoint, from which another process resumes the run."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from textgen_runtime import __version__
from textgen_runtime.corpus import CORPUS_NAMES
from textgen_runtime.errors import CorpusError, ModelFileError, TextgenError, first_line, quote
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.json_text import to_json
from textgen_runtime.model_file import Metadata, bundled_models
from textgen_runtime.tokenizer import Tokenizer

from textgen_train.data.dataset import Dataset
from textgen_train.errors import TrainingError
from textgen_train.options import TEXTS, RunOptions
from textgen_train.parameters import from_plain
from textgen_train.recipe import AnyRecipe, ClassicRecipe, Recipe

from ._arguments import option, text_words
from ._texts import Texts

if TYPE_CHECKING:
    from textgen_train.loop.specification import RunSpecification


@dataclass(frozen=True)
class StoredText:
    """The name and the SHA-256 of a text of a run."""

    name: str
    sha256: str


@dataclass(frozen=True)
class StoredParent:
    """The model from which a run started.

    Attributes:
        origin: What the model file of the run states of that model.
        metadata: The metadata of the model file of the run, whose vocabulary the run uses.
    """

    origin: dict[str, str | None]
    metadata: dict[str, str]


@dataclass(frozen=True)
class StoredRun:
    """A run as its checkpoint describes it. All values can be represented as JSON.

    Attributes:
        options: The options of the run. Paths of texts are absolute. The budget and the device are those of
            the run, even if they were not given.
        threads: The number of threads of all processes.
        texts: The text of each option of ``TEXTS`` that was given.
        vocabulary: SHA-256 of the vocabulary.
        environment: Versions and properties of the processor on which rounding depends.
        teachers: What the model file of the run states of each model of the option ``teachers``.
    """

    name: str
    options: RunOptions
    command: list[str]
    threads: int
    texts: dict[str, StoredText]
    vocabulary: str
    recipe: dict[str, Any]
    environment: dict[str, str]
    parent: StoredParent | None = None
    expected_epochs: float | None = None
    teachers: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StoredRun":
        """Create a description from the content of a checkpoint. All options are checked again.

        Raises:
            TrainingError: If it is not the description of a run of this version.
        """
        try:
            run = from_plain(cls, values)
            run.read_recipe()
            run.read_tokenizer()
            run.check_options()
        except (KeyError, TypeError, ValueError, ModelFileError) as error:
            reason = error.spelled(option) if isinstance(error, TextgenError) else first_line(error)
            raise TrainingError(
                f"the checkpoint is from another version of textgen-train ({reason}): resume the run with "
                "that version, or start it again with --overwrite"
            ) from error
        return run

    def check_options(self) -> None:
        """Raise ValueError if the texts or the models are not those of the options."""
        if any((getattr(self.options, name) is None) == (name in self.texts) for name in TEXTS):
            raise ValueError("'texts' does not fit the options")
        if len(self.teachers) != len(self.options.teachers or ()):
            raise ValueError("'teachers' does not fit the options")

    def read_recipe(self) -> AnyRecipe:
        """Return the recipe of the run."""
        return (ClassicRecipe if self.options.recipe else Recipe)(**self.recipe)

    def read_tokenizer(self) -> Tokenizer | None:
        """Return the vocabulary of a run that started from a model; None for other runs."""
        return None if self.parent is None else Metadata.from_props(self.parent.metadata).tokenizer

    def read_options(self, moved: Mapping[str, str]) -> RunOptions:
        """Return the options of a resumed run.

        Args:
            moved: The sources of texts that replace those of the run, by the names of their options.

        Raises:
            TrainingError: If the run has no such text, or if a text must be passed again.
        """
        for name in TEXTS:
            if name in moved and name not in self.texts:
                raise TrainingError(
                    "the run has no separate held-out text: resume it without --held-out-file"
                )
            if name not in moved and getattr(self.options, name) == STANDARD_INPUT:
                raise TrainingError(
                    f"a text of the run was standard input: pass it again, with {text_words(name, '-')} "
                    "--resume FOLDER"
                )
        sources: dict[str, Any] = dict(moved)
        return replace(self.options, **sources)

    def specify(
        self, options: RunOptions, texts: Texts, dataset: Dataset, processes: int
    ) -> "RunSpecification":
        """Return the specification of the resumed run, given the result of ``read_options``."""
        from textgen_train.loop.specification import RunSpecification

        return RunSpecification(
            options,
            texts.corpus,
            texts.held_out,
            dataset,
            self.read_recipe(),
            self.expected_epochs,
            self.command,
            self.name,
            self.parent.origin if self.parent else None,
            # The processes have the threads of the run together.
            max(1, self.threads // processes),
            self.teachers,
        )

    def check_texts(self, texts: Texts) -> None:
        """Check that the texts have not changed since the run began, and restore their names."""
        for name, text in zip(TEXTS, texts.all, strict=False):
            stored = self.texts[name]
            if text.sha256 != stored.sha256:
                raise CorpusError(
                    f"{text.name} is not the text of the run, or has changed: its SHA-256 is "
                    f"{text.sha256[:12]}..., not {stored.sha256[:12]}...{moved_hint(name)}"
                )
            text.name = stored.name

    def check_vocabulary(self, tokenizer: Tokenizer) -> None:
        """Check that the text has the same symbols as when the run began."""
        if vocabulary_hash(tokenizer) != self.vocabulary:
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


def describe_run(specification: "RunSpecification", device: str, processes: int) -> StoredRun:
    """Return the description of a run, given the type of its device and the number of its processes."""
    options, recipe, parent = specification.options, specification.recipe, specification.parent
    sources: dict[str, Any] = {
        name: absolute_source(source, (*CORPUS_NAMES, STANDARD_INPUT))
        for name in TEXTS
        if (source := getattr(options, name)) is not None
    }
    if options.teachers:
        sources["teachers"] = [absolute_source(source, bundled_models()) for source in options.teachers]
    texts = zip(TEXTS, (specification.corpus, specification.held_out), strict=True)
    return StoredRun(
        name=specification.run,
        options=replace(options, **asdict(options.budget), **sources, device=device),
        command=list(specification.command),
        threads=specification.threads * processes,
        texts={name: StoredText(text.name, text.sha256) for name, text in texts if text is not None},
        vocabulary=vocabulary_hash(specification.dataset.tokenizer),
        recipe=asdict(recipe),
        environment=describe_environment(),
        parent=None if parent is None else StoredParent(dict(parent), specification.metadata.to_props()),
        expected_epochs=specification.expected_epochs,
        teachers=[dict(teacher) for teacher in specification.teachers],
    )


def moved_hint(name: str) -> str:
    """Return what to do if a text has moved; ``name`` is one of ``TEXTS``."""
    words = text_words(name, "CORPUS" if name == "corpus" else "TEXT")
    return f"; if the text has moved, pass it with {words} --resume FOLDER"


def absolute_source(source: str, names: Sequence[str]) -> str:
    """Return a path such that it is valid in any working directory; one of the names is no path."""
    return source if source in names else os.path.abspath(source)  # noqa: PTH100 (keeps links)


def vocabulary_hash(tokenizer: Tokenizer) -> str:
    """Return the SHA-256 of a vocabulary."""
    return hashlib.sha256(to_json(list(tokenizer.symbols)).encode()).hexdigest()


def describe_environment() -> dict[str, str]:
    """Return the versions and the properties of the processor on which rounding depends."""
    import torch

    from textgen_train.models.device import has_bfloat16

    return {
        "textgen-onnx": __version__,
        "torch": str(torch.__version__),
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": "yes" if has_bfloat16() else "no",
    }
