"""One trial of an experiment: train on a part of a corpus, and score the last model once on another part.

A trial has one thread, so that its result does not depend on the number of processors, and two trials fit on
two processors.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from textgen_runtime.bench.machine import describe_machine
from textgen_runtime.corpora.corpus import Corpus, read_corpus
from textgen_runtime.generation.loading import load
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.records import SEPARATORS, RecordKind, held_out_start, is_held_out, split_records
from textgen_runtime.text.tokenizer import BYTE, CHARACTER
from textgen_train.cli._process import keep_freed_memory
from textgen_train.cli._teachers import form_of
from textgen_train.data.dataset import Dataset
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.data.predictions import PredictionWriter, map_predictions
from textgen_train.export.exporter import Exported, build_checked
from textgen_train.loop.held_out_loss import held_out_loss, training_loss
from textgen_train.loop.teachers import Teachers, predict
from textgen_train.loop.trainer import Trainer
from textgen_train.models.device import has_bfloat16
from textgen_train.presets import preset
from textgen_train.recipe import LSTM, Budget, Recipe

HELD_OUT = 0.1

# The part of a corpus that is scored. Values are chosen on the validation part, a tenth of the rest.
VALIDATION, FINAL = "validation", "held-out"

# Changes a trainer before its first update.
Idea = Callable[[Any], None]


class Source(NamedTuple):
    """A corpus, and how it is read.

    Attributes:
        file: The name of the corpus, or of its file in the folder of the corpora.
        sha256: SHA-256 of the file.
        level: What a token is.
    """

    file: str
    sha256: str
    lowercase: bool = False
    records: RecordKind | None = None
    level: str = CHARACTER


SOURCES = {
    "nietzsche": Source(
        "nietzsche", "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647", lowercase=True
    ),
    # First names of github.com/karpathy/makemore.
    "names": Source(
        "names.txt", "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d", records="lines"
    ),
    # Pushkin's Eugene Onegin, in Russian.
    "onegin": Source("onegin_ru.txt", "c9e458d35fecf777328fd8903ddb03685bee134c10774151642bf4567ac69576"),
    # Three novels of Natsume Soseki, in Japanese.
    "soseki": Source("soseki_ja.txt", "f00dbc8a576e3701ca13fd04c02eaee5289a70e1d93b71abf0f68b358fe33d23"),
    # Folk tunes in ABC notation of the Nottingham database.
    "tunes": Source(
        "nottingham_abc.txt",
        "b17740b3382942e93ad35afc96805f8e6c8991f304a052a1225ace9135867852",
        records="blank",
    ),
    # Each fourth of these tunes as a MIDI file, written by abc2midi 5.02, one after the other.
    "midi": Source(
        "nottingham_midi.bin", "35c9273ac2e9fd04b4f8edf8fb8ce817f43ba2ff2d0156a7c9fddb0df01cb186", level=BYTE
    ),
    # Pages of a dump of the English Wikipedia, from the test data of gensim 4.4: those with the most symbols,
    # then the first ones, cut after a million bytes.
    "wiki": Source("wiki.txt", "f9625cbf1a9bcdc3c4fd1ba5efb812dc78f4ba13e17795d7ebf5d552d8ce4877"),
}


@dataclass(frozen=True)
class Experiment:
    """A configuration, and the row of the page that shows its results.

    Attributes:
        label: The row, unique in its section.
        epochs: Length of the run.
        corpus: A key of ``SOURCES``.
        preset: The preset whose values apply, for this length and corpus.
        cell: The kind of the layers.
        changes: The hyperparameters that differ from the preset.
        idea: Something else that differs.
        teachers: The labels of experiments of the section whose models of the same seed are the teachers.
        teacher_weight: The share of the teachers in what the network learns.
        characters: The length of the end of the training text that is trained on; None for all of it.
    """

    label: str
    epochs: int
    corpus: str = "nietzsche"
    preset: str = "small"
    cell: str = LSTM
    changes: Mapping[str, Any] = field(default_factory=dict)
    idea: Idea | None = None
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.9
    characters: int | None = None

    def recipe(self, common_symbols: int, training_tokens: int) -> Recipe:
        """Return the hyperparameters for a corpus; the arguments are those of ``preset``."""
        values = preset(
            self.preset,
            common_symbols,
            cell=self.cell,
            epochs=self.epochs,
            training_tokens=training_tokens,
            teacher_weight=self.teacher_weight if self.teachers else 0.0,
        )
        return replace(values, **self.changes)


def read_dataset(name: str, part: str, folder: Path, characters: int | None = None) -> Dataset:
    """Return the training text of a corpus, and the part that is scored as its held-out text.

    Args:
        name: A key of ``SOURCES``.
        part: ``VALIDATION`` or ``FINAL``.
        folder: Has the corpora that have no name.
        characters: The length of the end of the training text that is trained on; None for all of it.
    """
    source = SOURCES[name]
    path = folder / source.file
    corpus = read_corpus(
        str(path) if path.exists() else source.file,
        any_bytes=source.level == BYTE,
        records=source.records,
    )
    if corpus.sha256 != source.sha256:
        sys.exit(
            f"{source.file} is another text than that of the experiments: its SHA-256 is {corpus.sha256}"
        )
    normalization, share = Normalization(lowercase=source.lowercase), HELD_OUT
    if part == VALIDATION:
        # Bytes stay unchanged.
        text = corpus.text if source.level == BYTE else normalization.apply(corpus.text)
        if source.records is None:
            text = text[: held_out_start(len(text), HELD_OUT)]
        else:
            records = split_records(text, source.records)
            text = SEPARATORS[source.records].join(r for r in records if not is_held_out(r, HELD_OUT))
            # The hashes of the other records are above the first tenth. These are a tenth of them.
            share = HELD_OUT + (1.0 - HELD_OUT) * HELD_OUT
        corpus = Corpus.from_text(name, text)
    dataset = make_dataset(corpus, normalization, share, level=source.level, records=source.records)
    return dataset if characters is None else replace(dataset, training=dataset.training[-characters:])


def run_trial(experiment: Experiment, seed: int, corpora: Path, models: Path) -> dict[str, Any]:
    """Train a model, write its file, and return its losses on the validation part and what they depend on.

    Args:
        experiment: What to train.
        seed: Seed of the run.
        corpora: Folder of the corpora that have no name.
        models: Folder of the models of the section. Those of the teachers are read from it.
    """
    keep_freed_memory()
    dataset = read_dataset(experiment.corpus, VALIDATION, corpora, experiment.characters)
    trainer = make_trainer(experiment, dataset, seed)
    if experiment.teachers:
        teachers = [model_path(models, label, seed) for label in experiment.teachers]
        _teach(trainer, dataset, teachers, experiment.teacher_weight)
    for _ in trainer.updates():
        pass
    exported = export(trainer, dataset)
    path = model_path(models, experiment.label, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(exported.content)
    return {
        "corpus": experiment.corpus,
        "seed": seed,
        "nats": round(held_out_loss(exported.model, dataset), 5),
        "training_nats": round(training_loss(exported.model, dataset), 5),
        "epochs": experiment.epochs,
        "seconds": round(trainer.state().seconds, 1),
        "parameters": trainer.model.parameter_count,
        "common_symbols": dataset.common_symbols,
        "training_tokens": len(dataset.training),
        "recipe": asdict(experiment.recipe(*dataset.sizes)),
        "bfloat16": has_bfloat16(trainer.model.device),
        "torch": str(torch.__version__),
        "processor": describe_machine()["processor"],
        "date": datetime.now(UTC).date().isoformat(),
    }


def model_path(folder: Path, label: str, seed: int) -> Path:
    """Return the model file of an experiment."""
    return folder / f"{label}-{seed}.onnx".replace(" ", "-").replace("/", "-")


def make_trainer(experiment: Experiment, dataset: Dataset, seed: int) -> Trainer:
    """Return the trainer of an experiment without teachers."""
    trainer = Trainer(
        dataset.training,
        len(dataset.tokenizer),
        experiment.recipe(*dataset.sizes),
        Budget(epochs=experiment.epochs),
        seed,
        special=dataset.tokenizer.special,
        threads=1,
    )
    if experiment.idea:
        experiment.idea(trainer)
    return trainer


def _teach(trainer: Trainer, dataset: Dataset, teachers: Sequence[Path], weight: float) -> None:
    form = form_of(dataset)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "predictions"
        with path.open("w+b") as file:
            writer = PredictionWriter(file, form, "")
            predict(Teachers([(load(file).engine, str(file)) for file in teachers]), dataset, writer)
            writer.finish()
        trainer.learn_from(map_predictions(path, form), weight)


def export(trainer: Trainer, dataset: Dataset) -> Exported:
    """Return the present model of a trainer."""
    metadata = Metadata(dataset.tokenizer, dataset.normalization, records=dataset.records)
    return build_checked(trainer.model, metadata, dataset.training, 1)
