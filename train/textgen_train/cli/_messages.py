"""The lines that ``textgen-train`` prints before and after a training run."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.corpus import CHECKPOINT_FILE, CORPUS_NAMES, QUANTIZED_FILE, Corpus
from textgen_runtime.errors import ModelFileError, Name, OutputError, TextgenError
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.model_file import MODEL_FILE, unambiguous_path
from textgen_runtime.tokenizer import CHARACTER, unit_of

from textgen_train.data.dataset import Dataset
from textgen_train.data.parts import symbol_count
from textgen_train.data.tokens import looks_like_records
from textgen_train.errors import LossError, TrainingError
from textgen_train.export.network import describe_size
from textgen_train.export.written_models import is_native, read_metadata
from textgen_train.loop.events import Evaluation
from textgen_train.options import DEFAULT_PRESET, TEXTS, RunOptions
from textgen_train.parameters import format_value
from textgen_train.presets import PRESETS
from textgen_train.recipe import ClassicRecipe
from textgen_train.report.chart import format_duration
from textgen_train.report.facts import generating_command, novel_option

from ._arguments import option, text_words
from ._process import MACHINE_NUMBER, launcher

if TYPE_CHECKING:
    from textgen_train.loop.checkpoint import ScheduleState, TrainerState
    from textgen_train.loop.run import TrainingRun
    from textgen_train.loop.specification import RunSpecification
    from textgen_train.loop.trainer import Trainer

# Number of characters from which a list is recognized.
LIST_REGION = 100_000

# A run has overfitted if its best model is from before this share of its time, and if the held-out loss has
# risen by at least this number of nats since then.
MAX_SHARE_TO_BEST = 0.75
MIN_LOSS_RISE = 0.01

SMALLEST_PRESET = min(PRESETS, key=lambda name: PRESETS[name].units)

# A larger share of a budget of minutes is mentioned.
MAX_EVALUATION_SHARE = 0.2


def describe_corpus(corpus: Corpus) -> str:
    """Return the name of a corpus; for a folder, also how many of its files are read and how many are not."""
    if corpus.skipped is None:
        return corpus.name
    read = len(corpus.files)
    skipped = f", {corpus.skipped:,} skipped" if corpus.skipped else ""
    return f"{corpus.name} ({read:,} file{'s' * (read > 1)} read{skipped})"


def describe_dataset(corpus: Corpus, dataset: Dataset) -> str:
    """Return a line with the sizes of the training text, the held-out text and the vocabulary."""
    symbols = symbol_count(dataset.tokenizer)
    training, held_out = f"{dataset.training_characters:,}", f"{dataset.held_out_characters:,}"
    if dataset.records is None:
        line = f"{training} training characters, {held_out} held-out characters"
    else:
        counts = dataset.record_counts
        line = f"{counts[0]:,} training records, {counts[1]:,} held-out records ({training} and {held_out} "
        line += "characters with the ends)"
    if dataset.tokenizer.level != CHARACTER:
        unit = unit_of(dataset.tokenizer)
        line += f", {len(dataset.training):,} and {len(dataset.held_out):,} {unit}s"
    line = f"{describe_corpus(corpus)}: {line}, {symbols:,} symbols"
    if dataset.rare_count:
        training_share, held_out_share = dataset.unknown_shares
        line += (
            f"; the unknown symbol replaces {dataset.rare_count:,} rare symbols, "
            f"{training_share:.2%} of the training text and {held_out_share:.2%} of the held-out text"
        )
    return f"{line}\n"


def describe_hidden_files(options: RunOptions) -> str:
    """Return a hint for each text that is a named corpus although a file or a folder has this name."""
    sources = [source for name in TEXTS if (source := getattr(options, name)) in CORPUS_NAMES]
    return "".join(
        f"hint: {source} is the name of a corpus; for the file or folder with this name, pass ./{source}\n"
        for source in sources
        if Path(source).exists()
    )


def describe_list(dataset: Dataset) -> str:
    """Return a hint if the corpus looks like a list, but is trained as one text; otherwise ""."""
    if dataset.records is not None:
        return ""
    text = dataset.tokenizer.decode(dataset.training[:LIST_REGION])
    if not looks_like_records(text):
        return ""
    return "hint: the corpus looks like a list; with --records lines, each line is a text of its own\n"


def describe_preset_changes(specification: "RunSpecification") -> str:
    """Return a line with the values of the preset that the text, the length and --teacher change, or ""."""
    options = replace(specification.options, teachers=None, teacher_weight=None)
    recipe, usual = specification.recipe, options.choose_recipe()
    # It is an estimate if it is no integer.
    epochs = specification.expected_epochs
    changes = [
        option(Name(name, format_value(value)))
        for name, value in asdict(recipe).items()
        if value != getattr(usual, name)
    ]
    about = "" if isinstance(epochs, int) else "about "
    reasons = ["this corpus", *(["--teacher"] if specification.teachers else [])]
    if epochs and epochs >= 1:
        reasons.append(f"{about}{epochs:,.0f} epoch{'s' * (round(epochs) > 1)}")
    return f"preset values for {' and '.join(reasons)}: {', '.join(changes)}\n" if changes else ""


def describe_network(trainer: "Trainer") -> str:
    """Return a line with the network, the device, and the numbers of threads and processes."""
    from textgen_train.models.device import describe_device, has_bfloat16

    model, threads, processes = trainer.model, len(trainer.replicas), trainer.replicas.ranks.size
    line = (
        f"{describe_size(model.cell, len(model.layers), model.units, residual=model.residual)}, "
        f"{model.parameter_count:,} parameters, "
        f"{describe_device(model.device)}, {'bfloat16' if has_bfloat16(model.device) else 'float32'}, "
        f"{threads} thread{'s' * (threads > 1)}"
    )
    return f"{line} in each of {processes} processes\n" if processes > 1 else f"{line}\n"


def describe_early_end(
    folder: Path, run: "TrainingRun", options: RunOptions, error: TextgenError | None = None
) -> str:
    """Return what a run has saved that ended early, by an error or an interrupt, and how to go on."""
    evaluator = run.evaluator
    if evaluator.best is None:
        saved = f"no model was saved to {folder}"
    else:
        loss = f"held-out loss {evaluator.best.held_out_nats:.4f} nats"
        saved = f"{folder / MODEL_FILE} holds the best model that was saved ({loss})"
    if isinstance(error, LossError):
        # A resumed run would have the same loss.
        return saved
    # A new run removes the checkpoint of an earlier run when it starts, and a resumed run has started before.
    # So from the start on, a checkpoint in the folder is that of this run.
    if not (run.is_started and (folder / CHECKPOINT_FILE).exists()):
        return f"{saved}; without a checkpoint, the run cannot be resumed: start it again"
    # Standard input must be passed again.
    piped = "".join(
        f"{text_words(name, STANDARD_INPUT)} " for name in TEXTS if getattr(options, name) == STANDARD_INPUT
    )
    start = launcher(run.trainer.replicas.ranks)
    command = f"{' '.join(start)} {piped}--resume {shlex.quote(unambiguous_path(folder))}"
    when = "when the folder can be written again, " if isinstance(error, OutputError) else "to "
    where = f" on each machine, with its number from 0 as {MACHINE_NUMBER}" * (MACHINE_NUMBER in start)
    return f"{saved}; {when}resume the run{where}: {command}{' < TEXT' * bool(piped)}"


def describe_resumption(state: "TrainerState", changes: Sequence[str]) -> str:
    """Return the first lines of a resumed run, with the changes of its environment."""
    line = f"resuming after update {state.step:,}, {state.seconds:,.0f} s after the start\n"
    if changes:
        line += (
            "textgen-train: warning: the result may differ from that of an uninterrupted run: "
            f"{', '.join(changes)}\n"
        )
    return line


def describe_complete_run(folder: Path, source: str | None) -> str:
    """Return the answer to a request to resume a complete run.

    ``source`` is where its corpus was read from; None if it is not known.

    Raises:
        TrainingError: If its model is missing.
    """
    if not (folder / MODEL_FILE).exists():
        raise TrainingError(
            f"the run in {folder} is complete, but its {MODEL_FILE} is missing: train again with --overwrite"
        )
    return (
        f"the run in {folder} is complete; to train longer, start a new run with a larger budget\n"
        f"{_next_commands(folder, source)}"
    )


def describe_result(folder: Path, run: "TrainingRun", options: RunOptions) -> str:
    """Return the last lines of a completed run: the loss and the files, advice, and the next commands."""
    best, evaluations = run.evaluator.best, run.evaluator.evaluations
    loss = (
        f"held-out loss {best.held_out_nats:.4f} nats, training loss {best.training_eval_nats:.4f}; "
        if best
        else ""
    )
    line = f"{loss}wrote {', '.join(run.files)} to {folder}\n"
    if best and not best.step:
        line += (
            f"no update has improved the model of --from, whose weights are in {folder / MODEL_FILE}: try a "
            "larger budget or lower learning rates\n"
        )
    elif best:
        line += describe_overfitting(best, evaluations[-1], options)
    if options.budget.minutes is not None:
        line += describe_evaluation_share(run.schedule.state)
    return line + _next_commands(folder, options.corpus)


def describe_overfitting(best: Evaluation, last: Evaluation, options: RunOptions) -> str:
    """Return a line if the run has overfitted: its best model is from long before its end; otherwise ""."""
    is_early = best.seconds < MAX_SHARE_TO_BEST * last.seconds
    if not is_early or last.held_out_nats < best.held_out_nats + MIN_LOSS_RISE:
        return ""
    if options.budget.epochs is None:
        unit, place = "minutes", f"{format_duration(best.seconds)} of {format_duration(last.seconds)}"
    else:
        unit, place = "epochs", f"epoch {best.epoch:,.1f} of {last.epoch:,.1f}"
    if options.recipe:
        remedy = ""
    elif options.parent or (options.preset or DEFAULT_PRESET) == SMALLEST_PRESET:
        # The model of --from determines the network.
        remedy = " or more dropout"
    else:
        remedy = " or a smaller preset"
    return (
        f"the run has overfitted: its best model is from {place}; more text{remedy} would help, "
        f"more {unit} would not\n"
    )


def describe_evaluation_share(schedule: "ScheduleState") -> str:
    """Return a line if the evaluations took a large share of the time of a run; otherwise ""."""
    paused, total = schedule.paused_seconds, schedule.last_seconds
    if paused <= MAX_EVALUATION_SHARE * total:
        return ""
    return (
        f"evaluations took {format_duration(paused)} of {format_duration(total)}: a longer run or a shorter "
        "held-out text leaves a larger share for training\n"
    )


def _next_commands(folder: Path, source: str | None) -> str:
    """Return lines with the commands that use the model, or "" if another program has removed it."""
    try:
        metadata = read_metadata(folder / MODEL_FILE)
    except ModelFileError:
        return ""
    recipe = metadata.training.get("recipe", {})
    lines = [f"next: {generating_command(folder, metadata, source)}\n"]
    if recipe.get("name") == ClassicRecipe.name or not is_native(metadata):
        # Both are for comparisons.
        return lines[0]
    name = shlex.quote(unambiguous_path(folder))
    # The bytes of a file that is not a text are not for a page.
    if metadata.records or metadata.prompts:
        lines.append(f"a page for the browser: textgen-web {name}{novel_option(metadata, source)}\n")
    if not (folder / QUANTIZED_FILE).exists():
        target = shlex.quote(unambiguous_path(folder / QUANTIZED_FILE))
        lines.append(f"a quarter of the size: textgen-quantize {name} -o {target}\n")
    return "".join(lines)
