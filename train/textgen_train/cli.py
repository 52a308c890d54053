"""``textgen-train``: train a model on a text, and write ``model.onnx``; or resume a run that has stopped."""

import argparse
import contextlib
import math
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.cli.command import EXIT_INTERRUPTED, run_command, spell_option
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.corpus import CHECKPOINT_FILE, GZIP, QUANTIZED_FILE, REPORT_FILE
from textgen_runtime.errors import (
    CorpusError,
    ModelFileError,
    Name,
    OutputError,
    TextgenError,
    install_command,
    quote,
    shorten,
)
from textgen_runtime.files import STANDARD_INPUT, replace_file
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.json_text import from_json
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import (
    MODEL_FILE,
    find_model_file,
    make_tokenizer,
    read_model,
    unambiguous_path,
)
from textgen_runtime.processors import available_processors
from textgen_runtime.terminal import escape_unencodable, print_diagnostic
from textgen_runtime.tokenizer import BYTE, SpecialTokens, Tokenizer, format_symbols

from . import _core
from .config import (
    CLASSIC,
    CLASSIC_EPOCHS,
    DEFAULT_MINUTES,
    DEFAULT_PRESET,
    PRESETS,
    USUAL_TOKENS,
    Config,
    format_value,
    hyperparameters,
    kind_of,
    option_name,
    process_numbers,
    restore,
)
from .dataset import Dataset, describe_overlap, read_dataset
from .errors import ExportError, LossError, RecipeError, TrainingError, extended
from .evaluate import Learner, Origin, check_file, start_loss
from .folder import (
    check_folder,
    check_room,
    locked_folder,
    output_folder,
    read_checkpoint,
    remove_earlier,
)
from .page import (
    References,
    describe_result,
    generating_command,
    measure_copied,
    novel_option,
    write_report,
)
from .progress import PROG, Display
from .train import Run, State, attempt, read_written, save, train

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o my-nietzsche
  textgen-train my-novel.txt --minutes 60
  textgen-train my-novel.txt --from nietzsche --extend -o tuned
  textgen-train my-novel.txt --teacher large/model.onnx -o small
  textgen-train my-novel.txt --level word --vocabulary-size 8000 -o words
  textgen-train tunes/ --records blank -o tunes-model
  textgen-train --resume my-novel-model
"""

# The headings of the help in order, with what is printed below them.
GROUPS = {
    "corpus": None,
    "fine-tuning": None,
    "distillation": None,
    "budget": None,
    "hardware": "torchrun -m textgen_train CORPUS [OPTIONS] trains in several processes, by torch.",
    "recipe": "A preset or the classic recipe sets the default values of the options below.\n"
    f"Three values are the defaults of {'/'.join(PRESETS)}. If the text has 300 common symbols\n"
    "or more, as in Chinese, or if the run has few or many epochs, some defaults are\n"
    "other values. Each run prints its values.",
    "network": None,
    "optimization": "Muon trains the matrices of the layers; AdamW trains all other parameters. Their\n"
    "learning rates are scaled by sqrt(128 / units) and anneal to 0 over the run.",
    "classic recipe": None,
    "output": None,
    "resume": None,
}

# The hyperparameters that describe the network.
NETWORK = ("units", "layers", "residual", "embedding", "dropout", "input_dropout", "weight_dropout")

# The texts of a run, which may have moved when it is resumed.
TEXTS = ("corpus", "held_out_file")

# The speed of the machine is that of at least so many updates, and of so many seconds.
MIN_UPDATES, SPEED_SECONDS = 2, 0.1

# Seconds to wait at the end for the losses of simple models.
WAIT = 5.0

# The packages of the extra torch, by their import names.
TORCH_PACKAGES = ("torch", "onnx", "safetensors")

# Windows has no SIGHUP. Only Windows has SIGBREAK, of Ctrl-Break, which other programs can send, too.
ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 on success, 1 after an error, 130 after an interrupt. Wrong usage exits with 2.
    """
    started = perf_counter()
    command = parser()
    # Contains only what is given, so that an option with its default value can be told from none.
    given = vars(command.parse_args(argv))
    words = [*sys.argv[1:]] if argv is None else [*argv]
    call = {name: given.pop(name, None) for name in ("output", "overwrite", "resume")}
    try:
        if call["resume"] is None:
            config = make_config(given)
            return run_command(PROG, lambda: spelling(lambda: start(config, call, words, started)))
        for name in (*call, *given):
            if name not in ("resume", "precision", *TEXTS) and (name in given or call[name] is not None):
                raise RecipeError(Name(name), " cannot be combined with ", Name("resume"))  # noqa: TRY301
    except RecipeError as error:
        command.error(error.spelled(spell))
    return run_command(PROG, lambda: spelling(lambda: resume(Path(call["resume"]), given)))


def spelling(command: Callable[[], int]) -> int:
    """Run a command whose errors spell parameters as options."""
    try:
        return command()
    except TextgenError as error:
        raise type(error)(error.spelled(spell)) from error


OPTIONS = {option.name: option for option in fields(Config) if option.metadata}


def spell(name: Name) -> str:
    """Return how a parameter is spelled on the command line."""
    if name == "corpus":
        return "CORPUS"
    if name == "output":
        return "-o"
    other = OPTIONS[name].metadata.get("option", name) if name in OPTIONS else name
    return spell_option(Name(other, name.value))


def parser() -> CommandParser:
    """Return the argument parser. Arguments that are not given are not in its result."""
    command = CommandParser(
        PROG, "Train a model of the characters, bytes or words of a text, and export it to ONNX.", EXAMPLES
    )
    command.usage = "%(prog)s CORPUS [OPTIONS] | [CORPUS] --resume FOLDER"
    groups = {title: command.add_argument_group(title, text) for title, text in GROUPS.items()}
    for option in OPTIONS.values():
        about, kind = option.metadata, kind_of(option)
        settings: dict[str, Any] = {"help": about["help"], "default": argparse.SUPPRESS}
        group = groups[about["group"]]
        if option.name == "corpus":
            group.add_argument(option.name, metavar="CORPUS", nargs="?", **settings)
            continue
        if kind is bool:
            settings["action"] = "store_true"
        elif kind is list:
            settings |= {"action": "extend", "nargs": "+", "metavar": about["metavar"]}
        elif "choices" in about:
            settings["metavar"] = about.get("metavar", f"{{{','.join(about['choices'])}}}")
        else:
            settings |= {
                "type": converter(kind),
                "metavar": about.get("metavar", "N" if kind is int else "X"),
            }
        group.add_argument(f"--{option_name(about.get('option', option.name))}", dest=option.name, **settings)
    presets = [_core.choose_preset(preset, 0, USUAL_TOKENS, None) for preset in PRESETS]
    classic = {option.name: option for option in CLASSIC}
    for parameter in [*hyperparameters(), *CLASSIC]:
        name = parameter.name
        is_classic = parameter in CLASSIC
        if is_classic and name in presets[0]:
            continue
        title = "classic recipe" if is_classic else "network" if name in NETWORK else "optimization"
        values = [format_value(preset.get(name, parameter.default)) for preset in presets]
        shown = values[0] if len(set(values)) == 1 else "/".join(values)
        more = (
            f"; classic: {format_value(classic[name].default)}" if name in classic and not is_classic else ""
        )
        settings = {"help": f"{parameter.help} (default: {shown}{more})", "default": argparse.SUPPRESS}
        if name == "residual":
            settings |= {"action": argparse.BooleanOptionalAction, "help": f"{parameter.help} (default: no)"}
        else:
            kind = float if parameter.is_number else int
            settings |= {"type": converter(kind), "metavar": "X" if parameter.is_number else "N"}
        groups[title].add_argument(f"--{option_name(name)}", dest=name, **settings)
    output, again = groups["output"], groups["resume"]
    name = "output folder (default: CORPUS-model, without the file extension, and with - for spaces)"
    output.add_argument("-o", "--output", metavar="PATH", type=Path, default=argparse.SUPPRESS, help=name)
    overwrite = "replace the files of an earlier run in the output folder"
    output.add_argument("--overwrite", action="store_true", default=argparse.SUPPRESS, help=overwrite)
    continued = (
        "continue the run of this output folder where it stopped, with its options; pass CORPUS and "
        "--held-out-file only if the texts have moved or were standard input, and --precision to change it"
    )
    again.add_argument("--resume", metavar="FOLDER", type=Path, default=argparse.SUPPRESS, help=continued)
    return command


def converter(kind: type) -> Callable[[str], Any]:
    """Return a function that converts a word. One that is none of this kind stays, and is refused later."""

    def convert(word: str) -> Any:
        try:
            return kind(word)
        except ValueError:
            return word

    return convert


def make_config(given: dict[str, Any]) -> Config:
    """Return the options of a new run.

    Raises:
        RecipeError: If a value is not valid, or does not fit the others.
    """
    if "corpus" not in given:
        # The option takes all words after it.
        order = ("; ", Name("corpus"), " goes before ", Name("teachers")) if "teachers" in given else ()
        raise RecipeError("a ", Name("corpus"), " is required, or ", Name("resume"), " FOLDER", *order)
    own = {name: value for name, value in given.items() if name in OPTIONS}
    chosen = {name: value for name, value in given.items() if name not in OPTIONS}
    config = Config(**own, hyperparameters=chosen)
    if config.minutes is None and config.epochs is None:
        is_classic = config.recipe is not None
        budget = {"epochs": CLASSIC_EPOCHS} if is_classic else {"minutes": DEFAULT_MINUTES}
        config = replace(config, **budget)
    return config


# ---- A new run ----


def start(config: Config, call: dict[str, Any], words: Sequence[str], started: float) -> int:
    """Start a run; return the exit code."""
    check_packages(config)
    folder, overwrite = call["output"] or default_folder(config.corpus), bool(call["overwrite"])
    models = [source for source in (config.parent, *(config.teachers or ())) if source]
    inputs = [Path(find_model_file(source)) for source in models]
    if is_first():
        # Reading a large corpus takes long. The check comes before it.
        check_folder(folder, inputs, overwrite=overwrite)
    origin, parent, extend = Origin(command=[PROG, *words]), None, config.extend
    if config.parent is not None:
        content = read_model(config.parent)
        parent = read_parent(config.parent, content)
        known = {"sha256": parent.sha256, "corpus": parent.training.get("corpus")}
        origin, config = replace(origin, parent=known), with_parent(config, parent)
    dataset = read_dataset(config, parent.tokenizer if parent else None, extend=extend)
    teachers = read_teachers(config, dataset)
    origin = replace(origin, teachers=[teacher.origin for teacher in teachers])
    config = replace(config, preset=config.preset or preset_for(config, dataset, started))
    recipe = config.choose_recipe(*dataset.sizes, config.epochs)
    learner, hardware = make_learner(config, dataset, recipe)
    if not is_first():
        return follow(learner)
    if parent is not None:
        learner.start_from(content)
    display = describe_start(config, dataset, recipe, learner, hardware, parent)
    for warning in describe_overlap(
        dataset,
        ({"--from": parent.training} if parent else {})
        | {f"--teacher {shorten(teacher.source)}": teacher.model.training for teacher in teachers},
    ):
        display.warn(warning)
    state = State(recipe, expected_epochs=config.epochs)
    run = Run(
        config, dataset, learner, hardware, folder, origin, state, display, started, References(dataset)
    )
    with output_folder(folder, [*inputs, *dataset.files], overwrite=overwrite):
        check_room(folder, learner.parameters)
        remove_earlier(folder, has_teachers=bool(teachers))
        return run_to_end(run, teachers)


def default_folder(source: str) -> Path:
    """Return the default output folder, which is named after the corpus, without the extensions of a file."""
    path = Path(source)
    name = "standard input" if source == STANDARD_INPUT else path.resolve().name
    if not path.is_dir():
        name = Path(Path(name).stem if name.endswith(GZIP) else name).stem
    return Path(f"{name.replace(' ', '-') or 'text'}-model")


def check_packages(config: Config) -> None:
    """Check that the packages are there that a run needs.

    Raises:
        TrainingError: If one is missing.
    """
    reason = config.needs_torch()
    if process_numbers()[1] > 1 and STANDARD_INPUT in (config.corpus, config.held_out_file):
        raise CorpusError(
            "several processes cannot read standard input: pass a file that each of them can read"
        )
    missing = [name for name in TORCH_PACKAGES if find_spec(name) is None]
    if reason and missing:
        raise TrainingError(*reason, f" requires {', '.join(missing)}: {install_command('torch')}")


def is_first() -> bool:
    """Return whether this process decides: it is the only one, or the first one of those of torchrun."""
    return process_numbers()[0] == 0


def follow(learner: Any) -> int:
    """Make the updates that the first process decides; return the exit code."""
    # An interrupt reaches all processes, and the first one ends the run.
    with contextlib.suppress(KeyboardInterrupt), DeferredInterrupts(*ENDING_SIGNALS), closing(learner):
        learner.follow()
    return 0


def read_parent(source: str, content: bytes) -> Model:
    """Return the model from whose weights a run starts.

    Raises:
        ModelFileError: If the file is damaged, or is no LSTM of ``textgen-train``.
    """
    try:
        return open_model(content)
    except ModelFileError as error:
        raise ModelFileError(f"{shorten(source)}: ", *error.args) from None


def with_parent(config: Config, parent: Model) -> Config:
    """Return the options with those that a model determines: network, records, normalization and preset."""
    layers, units, embedding, residual = parent.engine.core.size
    network = {"units": units, "layers": layers, "residual": int(residual), "embedding": embedding}
    normalization, is_bytes = parent.metadata.normalization, parent.tokenizer.level == BYTE
    return replace(
        config,
        parent=None,
        extend=False,
        level=parent.tokenizer.level,
        lowercase=normalization.lowercase,
        unicode=config.unicode if is_bytes else normalization.unicode or "none",
        records=parent.metadata.records,
        preset=config.preset or _core.nearest_preset(layers, units),
        hyperparameters={**config.hyperparameters, **network},
    )


def read_teachers(config: Config, dataset: Dataset) -> "list[Any]":
    """Return the models of --teacher; see ``teach.read_teachers``."""
    if not config.teachers:
        return []
    if process_numbers()[1] > 1:
        raise RecipeError(Name("teachers"), " is only for a run in one process: start it without torchrun")
    # It imports numpy.
    from . import teach

    return teach.read_teachers(config, dataset)


def preset_for(config: Config, dataset: Dataset, started: float) -> str | None:
    """Return the preset for a budget of minutes, by the speed of ``small``; None if the default applies.

    The budget also has what was done since the command was ``started``, such as reading.
    """
    has_default = config.teachers or config.hyperparameters or config.needs_torch()
    if config.minutes is None or has_default or _core.preset_for(*dataset.sizes, math.inf) == DEFAULT_PRESET:
        return None
    learner, _ = make_learner(config, dataset, config.choose_recipe(*dataset.sizes))
    # The first update takes longer than the others.
    learner.update(0.0)
    first = perf_counter()
    while learner.step <= MIN_UPDATES or perf_counter() - first < SPEED_SECONDS:
        learner.update(0.0)
    seconds = (perf_counter() - first) / (learner.step - 1)
    budget = 60 * config.minutes - (perf_counter() - started)
    return _core.preset_for(*dataset.sizes, budget / (seconds * learner.per_epoch))


def make_learner(config: Config, dataset: Dataset, recipe: dict[str, Any]) -> tuple[Any, str]:
    """Return what makes the updates, and what it runs on, in words."""
    threads = config.threads or min(available_processors(), _core.MAX_THREADS)
    try:
        if config.needs_torch():
            # It imports torch, which takes seconds.
            from .learner_torch import TorchLearner

            # On a busy processor, torch's threads wait for each other in each operation.
            learner = TorchLearner(
                dataset.tokens, recipe, seed=config.seed, threads=config.threads or 1, device=config.device
            )
            return learner, f"torch, {learner.description}"
        return make_core_learner(config, dataset, recipe, threads)
    except MemoryError:
        raise TrainingError(
            "not enough memory for this network: choose ",
            Name("preset", "small"),
            ", or lower ",
            Name("batch"),
        ) from None


def make_core_learner(
    config: Config, dataset: Dataset, recipe: dict[str, Any], threads: int
) -> tuple[_core.Trainer, str]:
    """Return the trainer in C. The result of a budget of epochs depends on no measurement, unless wanted."""
    precision = config.precision or ("float32" if config.minutes is None else "auto")
    values = {**values_of(recipe), "precision": _core.PRECISIONS.index(precision)}
    learner = _core.Trainer(dataset.tokens, values, config.seed % 2**64, threads)
    count = f"{learner.threads} thread{'s' * (learner.threads > 1)}"
    return learner, f"the trainer in C, {count}, {learner.kernels}, {learner.precision}"


def values_of(recipe: dict[str, Any]) -> dict[str, float]:
    """Return the hyperparameters as the trainer in C has them."""
    return {name: value for name, value in recipe.items() if name != "cell"}


def describe_start(  # noqa: PLR0913, PLR0917 (each is a part of the first lines)
    config: Config,
    dataset: Dataset,
    recipe: dict[str, Any],
    learner: Learner,
    hardware: str,
    parent: Model | None,
) -> Display:
    """Show what a run reads and trains."""
    escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
    display = Display()
    display.note(dataset.describe())
    if parent is not None:
        corpus = parent.training.get("corpus")
        trained = f", trained on {quote(corpus)}" if corpus else ""
        display.note(f"starting from the model {parent.sha256[:8]}{trained}\n")
        if new := list(dataset.tokenizer.symbols[len(parent.tokenizer) :]):
            display.note(f"added to the vocabulary: {format_symbols(new)}\n")
    if config.epochs is not None:
        display.show_changes(config.epochs, config.choose_recipe(), recipe)
    layers, cell = recipe.get("layers", 1), recipe.get("cell", "lstm").upper()
    reason = "".join(
        map(str, (spell(part) if isinstance(part, Name) else part for part in config.needs_torch()))
    )
    display.note(
        f"{config.recipe_name}: {layers} x {recipe['units']} {cell} units, "
        f"{learner.parameters:,} parameters; {hardware}"
        f"{f' ({reason})' if reason else ''}\n"
    )
    return display


# ---- A run that is resumed ----


def resume(folder: Path, moved: dict[str, Any]) -> int:
    """Continue the run of a folder; return the exit code."""
    if not (folder / CHECKPOINT_FILE).exists():
        read_checkpoint(folder)
    if not is_first():
        return resume_locked(folder, moved)
    with locked_folder(folder):
        return resume_locked(folder, moved)


def resume_locked(folder: Path, moved: dict[str, Any]) -> int:
    """Continue the run of a folder that is locked."""
    stored, block = read_checkpoint(folder)
    try:
        config, origin = restore(Config, stored["config"]), restore(Origin, stored["origin"])
        state = State.from_json(stored["state"])
        config.check_recipe(state.recipe)
        hashes, before = [*stored["sha256"]], str(stored["hardware"])
        # The model of --from may be gone.
        known = None if origin.parent is None else stored_tokenizer(config, *stored["vocabulary"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{shorten(str(folder / CHECKPOINT_FILE))} is of another version: start the run again with ",
            Name("overwrite"),
        ) from error
    if state.is_complete:
        sys.stdout.write(
            f"the run in {folder} is complete; for a longer one, start again with more --minutes, or go on "
            f"from its model with --from {shlex.quote(str(folder))}\n"
        )
        return 0
    if "held_out_file" in moved and config.held_out_file is None:
        raise TrainingError(
            "the run has no separate held-out text: resume it without ", Name("held_out_file")
        )
    config = replace(config, **moved)
    check_packages(config)
    dataset = reread_dataset(config, moved, known, hashes)
    learner, hardware = make_learner(config, dataset, state.recipe)
    if not is_first():
        return follow(learner)
    learner.resume(block)
    display = describe_start(config, dataset, state.recipe, learner, hardware, None)
    display.note(f"resuming after update {learner.step:,}, {state.seconds:,.0f} s after the start\n")
    if hardware != before:
        display.warn(f"the result may differ from that of an unbroken run: it ran on {before} before")
    started = perf_counter() - state.seconds
    run = Run(
        config, dataset, learner, hardware, folder, origin, state, display, started, References(dataset)
    )
    # If it is gone, the next evaluation writes its model.
    run.best = read_written(folder, origin)
    return run_to_end(run, None)


def stored_tokenizer(config: Config, vocabulary: str, special: str | None) -> Tokenizer:
    """Return the vocabulary of a run that is resumed."""
    return make_tokenizer(config.level, from_json(vocabulary), SpecialTokens(**from_json(special or "{}")))


def reread_dataset(
    config: Config, moved: dict[str, Any], known: Tokenizer | None, hashes: Sequence[str | None]
) -> Dataset:
    """Return the dataset of a run that is resumed.

    Raises:
        CorpusError: If a text is not there, or is not that of the run.
    """
    hint = "; if a text has moved, pass it with --resume FOLDER, as CORPUS or --held-out-file TEXT"
    for name in TEXTS:
        if name not in moved and getattr(config, name) == STANDARD_INPUT:
            raise CorpusError(
                "a text of the run was standard input: pass it again, with ",
                *(() if name == "corpus" else (Name(name), " ")),
                "- --resume FOLDER",
            )
    try:
        dataset = read_dataset(config, known)
    except CorpusError as error:
        raise extended(error, hint) from None
    for text, sha256 in zip([dataset.source, dataset.held_out], hashes, strict=True):
        if text is not None and text.sha256 != sha256:
            raise CorpusError(
                f"{text.name} is not the text of the run, or has changed: its SHA-256 is "
                f"{text.sha256[:12]}..., not {str(sha256)[:12]}...{hint}"
            )
    return dataset


# ---- The end ----


def run_to_end(run: Run, teachers: "list[Any] | None") -> int:
    """Train until the end of the run or an interrupt, and print the result; return the exit code.

    Args:
        run: The run.
        teachers: The models of --teacher; None if the run is resumed, and they are read if they are needed.
    """
    display = run.display
    try:
        with DeferredInterrupts(*ENDING_SIGNALS) as interrupts, closing(run.learner):
            run.check_interrupt = interrupts.check
            began = perf_counter()
            predictions = teach(run, teachers) if run.config.teachers else None
            # It does not belong to a budget of minutes.
            run.started += perf_counter() - began
            train(run)
            complete(run)
            if predictions is not None:
                predictions.remove()
    except KeyboardInterrupt as interrupt:
        display.clear()
        if isinstance(interrupt.__cause__, TextgenError):
            # The interrupt was deferred, and an error was raised before it took effect.
            print_diagnostic(PROG, interrupt.__cause__.spelled(spell))
        if run.state.is_complete:
            sys.stdout.write(describe_end(run))
        else:
            print_diagnostic(PROG, describe_early_end(run, can_resume=True), "interrupted")
        return EXIT_INTERRUPTED
    except TextgenError as error:
        display.clear()
        raise extended(
            error, f"; {describe_early_end(run, can_resume=not isinstance(error, LossError))}"
        ) from error
    sys.stdout.write(describe_end(run))
    return 0


@contextlib.contextmanager
def closing(learner: Any) -> Iterator[None]:
    """Return a context at whose end a learner ends its other processes."""
    try:
        yield
    finally:
        if hasattr(learner, "close"):
            learner.close()


def teach(run: Run, teachers: "list[Any] | None") -> Any:
    """Let a run learn from the predictions of its teachers, which are computed unless the folder has them."""
    from .teach import Predictions

    hashes = [teacher["sha256"] for teacher in run.origin.teachers]
    predictions = Predictions(run.folder, run.dataset, hashes)
    found = predictions.read()
    if found is None:
        if teachers is None:
            teachers = read_teachers(run.config, run.dataset)
            if [teacher.model.sha256 for teacher in teachers] != hashes:
                raise TrainingError("a model of ", Name("teachers"), " has changed since the run began")
        check_room(run.folder, 0, predictions.size)
        run.display.note(f"predicting the training text: {predictions.size / 1e6:,.1f} MB\n")

        def show(share: float) -> None:
            run.check_interrupt()
            run.display.show_share("predicting the training text", share)

        predictions.write([teacher.model for teacher in teachers], show)
        found = predictions.read()
    if found is None:
        raise TrainingError("the predictions of ", Name("teachers"), " are damaged: start the run again")
    run.learner.teach(*found, predictions.columns, run.config.weight_of_teachers)  # type: ignore[attr-defined]
    return predictions


def complete(run: Run) -> None:
    """Check the model file, and write what belongs to the end."""
    # What follows may fail, or take long.
    save(run)
    path = run.folder / MODEL_FILE
    written = read_written(run.folder, run.origin)
    if written is None:
        raise TrainingError(f"another program has replaced {shorten(str(path))}")
    model = check_file(path, run.learner, run.dataset, is_current=written.step == run.learner.step)
    run.references.wait(WAIT)
    run.copied = measure_copied(model, run.dataset)
    attempt(run, REPORT_FILE, lambda path: write_report(run, "complete", path))
    if run.config.quantize:
        try:
            quantize(run, path.read_bytes())
        except (ExportError, OutputError) as error:
            run.display.warn(f"{error}; textgen-quantize can try again")
    run.state.is_complete = True
    save(run)


def quantize(run: Run, content: bytes) -> None:
    """Write the model with 8-bit weights, and show its loss."""
    from .quantize import compared, convert

    tokens = run.dataset.tokens
    per_character = tokens.held_out_tokens / tokens.held_out_characters
    losses = [
        start_loss(model, run.dataset, tokens.held_out_tokens) * per_character for model in convert(content)
    ]
    text = run.dataset.held_out or run.dataset.source
    quantized = compared(
        content, (losses[0], losses[1]), tokens.held_out_characters, text.name, tokens.held_out_share or 1.0
    )
    replace_file(run.folder / QUANTIZED_FILE, quantized.content)
    run.display.write(
        f"8 bits: held-out loss {losses[1]:.4f} nats ({quantized.increase:+z.4f}), {quantized.size}"
    )
    if quantized.warning:
        run.display.warn(quantized.warning)


def describe_end(run: Run) -> str:
    """Return the last lines of a complete run: the loss, the verdict, and the next commands."""
    best, name = run.best, shlex.quote(unambiguous_path(run.folder))
    lines = (
        []
        if best is None
        else [f"held-out loss {best.held_out_nats:.4f} nats; the results are in {run.folder}"]
    )
    lines += describe_result(run).splitlines()
    lines.append(f"next: {generating_command(run)}")
    if run.config.cell == "lstm" and not run.config.recipe:
        # The bytes of a file that is not a text are not for a page.
        if run.config.records or run.dataset.prompts:
            lines.append(f"a page for the browser: textgen-web {name}{novel_option(run.config)}")
        if not run.config.quantize:
            target = shlex.quote(unambiguous_path(run.folder / QUANTIZED_FILE))
            lines.append(f"a quarter of the size: textgen-quantize {name} -o {target}")
    return "".join([f"{line}\n" for line in lines])


def describe_early_end(run: Run, *, can_resume: bool) -> str:
    """Return what a run has saved that ended early, and how to go on."""
    best = run.best
    saved = f"no model was saved to {run.folder}"
    if best is not None:
        saved = (
            f"{run.folder / MODEL_FILE} holds the best model (held-out loss {best.held_out_nats:.4f} nats)"
        )
    if not can_resume:
        return saved
    if not (run.folder / CHECKPOINT_FILE).exists():
        return f"{saved}; without a checkpoint, the run cannot be resumed"
    piped = "- " if run.config.corpus == STANDARD_INPUT else ""
    start, processes = PROG, process_numbers()[1]
    if processes > 1:
        start = f"torchrun --standalone --nproc-per-node {processes} -m textgen_train"
    command = f"{start} {piped}--resume {shlex.quote(unambiguous_path(run.folder))}"
    return f"{saved}; to go on: {command}{' < TEXT' if piped else ''}"
