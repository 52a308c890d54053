"""``textgen-train``: train a model on a text and write ``model.onnx``."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.cli.command import EXIT_FAILED
from textgen_runtime.corpus import GZIP, Corpus
from textgen_runtime.errors import EncodingError, Name, shorten
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.terminal import escape_unencodable, print_diagnostic, write_stderr
from textgen_runtime.tokenizer import BYTE

from textgen_train.data.dataset import Dataset
from textgen_train.errors import CorpusError, extended
from textgen_train.loop.output_folder import check_folder, prepared_folder
from textgen_train.loop.ranks import DismissedError, Ranks
from textgen_train.options import PROG, TEXTS, RunOptions
from textgen_train.recipe import ClassicRecipe

from ._arguments import CallOptions, Command, option, parse
from ._messages import describe_dataset, describe_hidden_files, describe_list, describe_preset_changes
from ._process import (
    check_device,
    check_packages,
    check_tensorboard,
    joined_ranks,
    launcher,
    run_training_command,
)
from ._resume import resume
from ._teachers import Teacher, check_processes, describe_teachers, form_of, read_teachers, teach
from ._texts import Texts, open_texts, trained_share

if TYPE_CHECKING:
    from textgen_train.loop.specification import RunSpecification

    from ._fine_tuning import ParentModel

EQUAL_TEXTS = (
    "the held-out text is the corpus itself, so the held-out loss is a loss of the training text: pass "
    "another text with --held-out-file, or omit the option"
)

TRAINED_TEXT = (
    "the model of {} was trained on {:.0%} of the held-out text, so the held-out loss is too low: use the "
    "--held-out of that training, or pass another text with --held-out-file"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 on success, 1 after an error, 130 after an interrupt. Wrong usage exits with 2.
    """
    command = parse(argv)
    return run_training_command(lambda: run_in_processes(command))


def run_in_processes(command: Command) -> int:
    """Train in this process and the others that torchrun has started; return the exit code."""
    check_packages("training")
    if command.run:
        check_tensorboard(command.run)
    try:
        with joined_ranks() as ranks:
            if ranks.size > 1 and STANDARD_INPUT in command.texts.values():
                raise CorpusError(
                    "several processes cannot read standard input: pass a file that each of them can read"
                )
            ranks.compare(compared_options(command.run))
            # The report shows the words.
            command = replace(command, words=[*launcher(ranks), *command.words])
            if command.run is None:
                return resume(command, ranks)
            return train(command.run, command.call, command.words, ranks)
    except DismissedError:
        return EXIT_FAILED


def compared_options(options: RunOptions | None) -> dict[str, str]:
    """Return the options that must be the same in all processes; none for a resumed run.

    Paths may differ. What they name is compared later.
    """
    if options is None:
        return {}
    values = asdict(options)
    values |= values.pop("hyperparameters")
    return {
        option(Name(name)): str(value) for name, value in values.items() if name not in (*TEXTS, "parent")
    }


def train(options: RunOptions, call: CallOptions, words: Sequence[str], ranks: Ranks) -> int:
    """Read the corpus, train, and return the exit code."""
    parent = None
    if options.parent is not None:
        # It imports onnx, which is installed only with the train extra.
        from ._fine_tuning import read_parent, with_parent

        parent = read_parent(options.parent)
        options = with_parent(options, parent)
    check_processes(options, ranks)
    teachers = read_teachers(options)
    for teacher in teachers:
        teacher.check(options)
    check_device(options.device, ranks)
    texts = open_texts(options)
    folder = call.output or default_folder(options.corpus, texts.corpus)
    inputs = [*texts.files, *([parent.path] if parent else []), *(teacher.path for teacher in teachers)]
    if ranks.is_first:
        # Reading a large corpus takes long. The check comes before it.
        check_folder(folder, inputs, overwrite=call.overwrite)
    dataset = read_dataset(texts, options, folder if ranks.is_first else None, parent)
    for teacher in teachers:
        teacher.check_vocabulary(dataset)
    if ranks.is_first:
        print_start(texts, dataset, options, parent, teachers)
    # It imports torch, which takes seconds.
    from ._training_run import follow, make_ready_trainer, make_run, run_to_end

    specification = specify(options, texts, dataset, parent, words, ranks, teachers)
    trainer = make_ready_trainer(
        specification,
        ranks,
        lambda trainer: parent.load_weights(trainer.model, dataset) if parent else None,
    )
    if not ranks.is_first:
        return follow(trainer)
    with prepared_folder(
        folder,
        inputs,
        trainer.model.parameter_count,
        overwrite=call.overwrite,
        quantize=options.quantize,
        predictions=form_of(dataset).total_bytes if teachers else 0,
    ):
        predictions = teach(trainer, specification, folder, lambda: teachers)
        run = make_run(trainer, specification, folder, predictions, is_new=True)
        return run_to_end(run, specification, folder)


def read_dataset(
    texts: Texts, options: RunOptions, folder: Path | None, parent: "ParentModel | None"
) -> Dataset:
    """Return the dataset of a new run; see ``Texts.read``.

    Raises:
        CorpusError: Also if the text is too short for the windows of the classic recipe.
    """
    try:
        dataset = texts.read(options, folder, parent.tokenizer if parent else None)
    except EncodingError as error:
        # Only a run without a model chooses its level.
        hint = () if parent else ("; or train on the bytes of any file with ", Name("level", BYTE))
        raise extended(error, *hint) from None
    recipe = options.choose_recipe()
    if isinstance(recipe, ClassicRecipe) and len(dataset.training) <= recipe.window:
        raise CorpusError(
            f"the corpus {texts.corpus.name} is too short: it has {len(dataset.training)} training "
            f"characters, and windows of {recipe.window} need at least {recipe.window + 1}: use a longer text"
        )
    return dataset


def print_start(
    texts: Texts,
    dataset: Dataset,
    options: RunOptions,
    parent: "ParentModel | None",
    teachers: Sequence[Teacher] = (),
) -> None:
    """Print the first lines of a run."""
    escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
    if parent:
        more = parent.describe(dataset, options.recipe_name)
    else:
        # The classic recipe has no records.
        more = "" if options.recipe else describe_list(dataset)
    more += describe_teachers(options, [teacher.origin for teacher in teachers], dataset)
    write_stderr(describe_dataset(texts.corpus, dataset) + describe_hidden_files(options) + more)
    if texts.held_out and texts.held_out.sha256 == texts.corpus.sha256:
        print_diagnostic(PROG, EQUAL_TEXTS, "warning")
        return
    models = [("--from", parent.metadata.training)] if parent else []
    models += [(f"--teacher {shorten(teacher.source)}", teacher.model.training) for teacher in teachers]
    for name, training in models:
        if round(share := trained_share(training, texts, dataset), 2):
            print_diagnostic(PROG, TRAINED_TEXT.format(name, share), "warning")


def specify(  # noqa: PLR0913, PLR0917 (all are parts of the specification, or needed for it)
    options: RunOptions,
    texts: Texts,
    dataset: Dataset,
    parent: "ParentModel | None",
    words: Sequence[str],
    ranks: Ranks,
    teachers: Sequence[Teacher] = (),
) -> "RunSpecification":
    """Return the specification of a new run, whose recipe is for the number of epochs that it will have."""
    from textgen_train.loop.replicas import resolve_thread_count
    from textgen_train.loop.specification import RunSpecification

    from ._training_run import estimate_epochs

    minutes, epochs = options.budget.minutes, options.budget.epochs
    specification = RunSpecification(
        options,
        texts.corpus,
        texts.held_out,
        dataset,
        options.choose_recipe(*dataset.sizes, epochs),
        epochs,
        words,
        parent=parent.origin if parent else None,
        threads=resolve_thread_count(options.threads, ranks),
        teachers=[teacher.origin for teacher in teachers],
    )
    if minutes is not None and options.depends_on_epochs(*dataset.sizes):
        estimate = estimate_epochs(specification, minutes, ranks)
        recipe = options.choose_recipe(*dataset.sizes, estimate)
        specification = replace(specification, recipe=recipe, expected_epochs=estimate)
    if ranks.is_first:
        write_stderr(describe_preset_changes(specification))
    return specification


def default_folder(source: str, corpus: Corpus) -> Path:
    """Return the default output folder, which is named after the corpus.

    The extension of a file name is dropped, and that of a compressed file before. The name of a folder is
    kept, even if it contains a dot.
    """
    name = corpus.name
    if not Path(source).is_dir():
        name = Path(Path(name).stem if name.endswith(GZIP) else name).stem
    return Path(f"{name.replace(' ', '-') or 'text'}-model")
