"""The options of a training run, each declared once.

The arguments and the help of the command line, what a checkpoint and a model file say of the run, its report,
and the comparison of runs follow from the declarations. The trainer in C declares the hyperparameters
(``train/core/textgen_options.def``) and has the presets (``presets.c``); this module adds those of other
cells and of the textbook's recipe, which torch trains.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from textgen_runtime.corpus import CORPUS_NAMES
from textgen_runtime.errors import Name, quote
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.model_file import bundled_models
from textgen_runtime.text import RECORD_KINDS, UNICODE_FORMS, Normalization, RecordKind, as_unicode_form
from textgen_runtime.tokenizer import BYTE, CHARACTER, LEVELS, WORD

from . import _core
from .errors import RecipeError

T = TypeVar("T")

DEFAULT_MINUTES = 5.0
MAX_MINUTES = 525_600.0  # A year.

PRESETS = ("small", "medium", "large")
DEFAULT_PRESET = PRESETS[0]

# A preset describes its values for a text of so many tokens if no other is known.
USUAL_TOKENS = 500_000

VOCABULARY_SIZE = 4096
TEACHER_WEIGHT = 0.9

MAX_COUNT = 2**63 - 1

LSTM, GRU, CONV = CELLS = ("lstm", "gru", "conv")

# Options of which a run can have only one.
EXCLUSIVE = (("held_out", "held_out_file"), ("minutes", "epochs"), ("preset", "recipe"))

# What a model determines, from whose weights a run starts.
OF_PARENT = (
    *("cell", "units", "layers", "residual", "embedding", "level", "vocabulary_size", "records"),
    *("lowercase", "unicode", "min_count", "recipe"),
)

# What changes a text. Bytes stay unchanged.
OF_TEXT = ("lowercase", "unicode", "min_count", "unwrap")


def declare(default: Any, help_text: str, group: str, **about: Any) -> Any:
    """Return a field for an option.

    Args:
        default: The value of an option that is not given.
        help_text: What it is, for the help and for the report.
        group: The heading in the help.
        about: ``least`` and ``most`` of a number, and ``above`` if ``least`` is not valid; ``choices``;
            ``metavar``; and ``option``, the name on the command line if it is another one.
    """
    return field(default=default, metadata={"help": help_text, "group": group, **about})


@dataclass(frozen=True)
class Config:
    """The options of a run.

    Attributes:
        corpus: Where the text is read from; see ``textgen_runtime.corpus.read_corpus``.
        hyperparameters: Values of the options that ``_core.options`` lists, and of ``CLASSIC``, which the
            user has chosen. The preset or the recipe has the others.

    Raises:
        RecipeError: If a value is out of range, or does not fit the others.
    """

    corpus: str = declare(
        "",
        "a UTF-8 file, which may be compressed (.gz), a folder with .txt or .abc files, - for standard "
        f"input, or the name of a corpus: {', '.join(CORPUS_NAMES)}; with --level byte, any file or all "
        "files of a folder",
        "corpus",
        metavar="CORPUS",
    )
    level: str = declare(
        CHARACTER,
        "what the model predicts: characters; the bytes of any file; or words, and the characters of rare "
        "words (default: character)",
        "corpus",
        choices=LEVELS,
    )
    vocabulary_size: int | None = declare(
        None,
        "maximum number of symbols with --level word: all characters of the text, and its most frequent "
        f"words (default: {VOCABULARY_SIZE})",
        "corpus",
        least=2,
    )
    lowercase: bool = declare(False, "convert the text to lower case", "corpus")
    unicode: str = declare(
        "NFC",
        f"Unicode normal form: {', '.join(UNICODE_FORMS)} or none (default: NFC)",
        "corpus",
        choices=(*UNICODE_FORMS, "none"),
        metavar="FORM",
    )
    unwrap: bool = declare(
        False, "join the lines of each paragraph, for a text whose lines are wrapped at a width", "corpus"
    )
    min_count: int = declare(
        1,
        "replace all characters that occur fewer than N times by one unknown symbol; the losses of models "
        "with different N are not comparable (default: 1, which keeps all characters)",
        "corpus",
        least=1,
    )
    records: RecordKind | None = declare(  # noqa: RUF009 (a field)
        None,
        "train on records, each of which is a text of its own: lines, such as names or molecules, or texts "
        "between blank lines, such as tunes and poems; the held-out part is a random choice of records "
        "(default: one continuous text)",
        "corpus",
        choices=RECORD_KINDS,
    )
    held_out: float | None = declare(
        None,
        "do not train on the last SHARE of the text, or on a random SHARE of the records, but measure the "
        "loss there (default: 0.1, at most a million characters)",
        "corpus",
        least=0,
        most=0.9999,
        above=True,
        metavar="SHARE",
    )
    held_out_file: str | None = declare(
        None,
        "train on the whole corpus, and measure the loss on this text: a file, a folder, - or the name of a "
        "corpus",
        "corpus",
        metavar="TEXT",
    )
    parent: str | None = declare(
        None,
        "start from the weights of MODEL instead of random ones; MODEL is a model file, a folder with "
        "model.onnx, or the name of a bundled model; it determines the network, the vocabulary and the "
        "normalization; the default preset is then the one with the most similar network",
        "fine-tuning",
        metavar="MODEL",
        option="from",
    )
    extend: bool = declare(
        False, "extend the vocabulary of the model by the symbols that only the corpus has", "fine-tuning"
    )
    teachers: list[str] | None = declare(  # noqa: RUF009 (a field)
        None,
        "also learn from the predictions of these trained models, so that a small network gets a lower loss; "
        "each MODEL is given as for --from, and must have the vocabulary of the corpus",
        "distillation",
        metavar="MODEL",
        option="teacher",
    )
    teacher_weight: float | None = declare(
        None,
        "weight of the teachers' predictions in the loss; the weight of the text is 1 - X; from 0.8 on, the "
        f"presets have no dropout and no penalties (default: {TEACHER_WEIGHT:g})",
        "distillation",
        least=0,
        most=1,
        above=True,
    )
    minutes: float | None = declare(
        None,
        f"duration of the command in minutes, with reading and evaluations (default: {DEFAULT_MINUTES:g})",
        "budget",
        least=0,
        most=MAX_MINUTES,
        above=True,
    )
    epochs: int | None = declare(
        None,
        "number of passes over the training text, instead of --minutes (default: none; classic: 60)",
        "budget",
        least=1,
    )
    no_early_stopping: bool = declare(
        False, "go on to the end of the budget also if the held-out loss only rises", "budget"
    )
    learner: str | None = declare(
        None,
        "what trains: core, which is part of this package, or torch, which is the extra torch (default: core "
        "wherever it can)",
        "hardware",
        choices=("core", "torch"),
    )
    device: str = declare(
        "cpu",
        "device that trains the network; cuda and mps are GPUs, which only torch can use (default: cpu)",
        "hardware",
        choices=("cpu", "cuda", "mps"),
    )
    threads: int | None = declare(
        None,
        "maximum number of threads (default: one per available processor; for torch 1)",
        "hardware",
        least=1,
        most=_core.MAX_THREADS,
    )
    precision: str | None = declare(
        None,
        "of matrix products: float32, bfloat16 if the processor has it, or auto, which measures both first "
        "(default: auto with --minutes, float32 with --epochs)",
        "hardware",
        choices=_core.PRECISIONS,
    )
    preset: str | None = declare(
        None,
        "network size, learning rates and regularization: small, medium or large (default: for a budget of "
        "minutes, the one that learns best in that time on this machine; with --epochs, --teacher, torch, or "
        f"an option below, {DEFAULT_PRESET})",
        "recipe",
        choices=PRESETS,
    )
    recipe: str | None = declare(
        None,
        "repeat the experiment of F. Chollet's textbook by torch, with lower case, windows of 60 characters, "
        "one-hot input and RMSprop (default: none)",
        "recipe",
        choices=("classic",),
    )
    cell: str = declare(
        LSTM,
        "kind of layers; conv stands for causal dilated convolutions; gru and conv need torch (default: "
        "lstm)",
        "network",
        choices=CELLS,
    )
    seed: int = declare(
        0, "random seed of the weights, batches, dropout and samples (default: 0)", "optimization", least=0
    )
    quantize: bool = declare(
        False,
        "at the end, also write model.int8.onnx, which is the best model with 8-bit weights and has about a "
        "quarter of the size",
        "output",
    )
    no_samples: bool = declare(False, "do not generate samples at the evaluations", "output")
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options, each alone and together."""
        for option in fields(self):
            value = getattr(self, option.name)
            if option.metadata and not (value is None and option.default is None):
                check(option.name, kind_of(option), value, option.metadata)
        known = {option.name: option for option in hyperparameters(self.recipe)}
        for name, value in self.hyperparameters.items():
            if name not in known:
                which = "the classic recipe" if self.recipe else "the presets"
                raise RecipeError(Name(name), f" is not an option of {which}")
            number = int(value) if isinstance(value, bool) else value
            check(name, float if known[name].is_number else int, number, known[name]._asdict())
        self._check_combinations()
        self._check_requirements()

    def _check_combinations(self) -> None:
        """Check that no options are given that exclude each other."""
        for first, second in EXCLUSIVE:
            if getattr(self, first) is not None and getattr(self, second) is not None:
                raise RecipeError(Name(second), " is not allowed with ", Name(first))
        of_classic = ("records", "level", "teachers", "cell")
        for given, names, reason in (
            (self.level == BYTE, OF_TEXT, (Name("level", BYTE), ": bytes stay unchanged")),
            (self.parent is not None, OF_PARENT, (Name("parent"), ": the model determines it")),
            (self.recipe is not None, of_classic, (Name("recipe", "classic"),)),
            (self.learner == "core", ("cell", "device", "recipe"), (Name("learner", "core"),)),
            (bool(self.needs_torch()), ("precision",), ("torch, which chooses it by the device",)),
        ):
            for name in names if given else ():
                if name in self.changed:
                    raise RecipeError(Name(name), " cannot be combined with ", *reason)

    def _check_requirements(self) -> None:
        """Check that each option has what it needs."""

        def refuse(name: str, *why: str) -> None:
            raise RecipeError(Name(name), *why)

        if not self.corpus:
            refuse("corpus", " must be a text to train on")
        for name, needed, is_there in (
            ("vocabulary_size", Name("level", WORD), self.level == WORD),
            ("extend", Name("parent"), self.parent is not None),
            ("teacher_weight", Name("teachers"), self.teachers is not None),
        ):
            if name in self.changed and not is_there:
                refuse(name, " requires ", needed)
        if self.quantize and self.cell != LSTM:
            refuse("quantize", f" is only for the cell lstm, not for {self.cell}")
        if self.hyperparameters.get("residual") and self.choose_recipe().get("layers") == 1:
            refuse("residual", " has no effect on a single layer: pass ", Name("layers"), " too")

    @property
    def changed(self) -> dict[str, Any]:
        """The options that do not have their defaults, with the hyperparameters."""
        given = {
            option.name: value
            for option in fields(self)
            if option.metadata and (value := getattr(self, option.name)) != option.default
        }
        return given | self.hyperparameters

    @property
    def normalization(self) -> Normalization:
        """The normalization of the texts. The classic recipe converts them to lower case."""
        form = None if self.unicode == "none" or self.level == BYTE else as_unicode_form(self.unicode)
        return Normalization(self.lowercase or self.recipe is not None, form)

    @property
    def weight_of_teachers(self) -> float:
        """The share of the teachers' predictions in what the network learns; 0 without teachers."""
        return (self.teacher_weight or TEACHER_WEIGHT) if self.teachers else 0.0

    @property
    def recipe_name(self) -> str:
        """The name of the preset or of the recipe, without the changes of the user."""
        return f"{self.recipe} recipe" if self.recipe else f"preset {self.preset or DEFAULT_PRESET}"

    def needs_torch(self) -> tuple[str, ...]:
        """Return the parts of a message that name what only torch can do; none if the core can train."""
        if self.learner == "torch":
            return (Name("learner", "torch"),)
        for name in ("recipe", "cell", "device"):
            if name in self.changed:
                return (Name(name, str(self.changed[name])),)
        is_alone = process_numbers()[1] == 1
        if not is_alone and self.learner == "core":
            raise RecipeError(Name("learner", "core"), " trains in one process: start it without torchrun")
        return () if is_alone else ("a run in several processes",)

    def usual_recipe(
        self, common_symbols: int = 0, tokens: int = USUAL_TOKENS, epochs: float | None = None
    ) -> dict[str, Any]:
        """Return the hyperparameters of the preset or of the recipe without the changes of the user.

        Args:
            common_symbols: Number of the most frequent symbols that make up 99% of the training text.
            tokens: Number of tokens of the training text.
            epochs: The number of epochs that the run is expected to have; None for a run of usual length.
        """
        if self.recipe:
            return {option.name: option.default for option in CLASSIC}
        name = self.preset or DEFAULT_PRESET
        values: dict[str, Any] = _core.choose_preset(name, common_symbols, tokens, epochs)
        values |= {"cell": self.cell, **CELL_PRESETS[self.cell].get(name, {})}
        return values | (NO_REGULARIZATION if self.weight_of_teachers >= MIN_TEACHER_WEIGHT else {})

    def choose_recipe(
        self, common_symbols: int = 0, tokens: int = USUAL_TOKENS, epochs: float | None = None
    ) -> dict[str, Any]:
        """Return ``usual_recipe`` with the changes of the user."""
        return self.usual_recipe(common_symbols, tokens, epochs) | self.hyperparameters

    def check_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Raise ValueError if stored hyperparameters are not those of such a run."""
        known = {option.name: option for option in hyperparameters(self.recipe)}
        for name, value in recipe.items():
            if name != "cell":
                check(name, float if known[name].is_number else int, value, known[name]._asdict())
            elif value != self.cell:
                raise ValueError("the cell is another one")

    def as_json(self) -> dict[str, Any]:
        """Return the options as a checkpoint stores them, with absolute paths."""

        def absolute(source: str | None, names: Sequence[str]) -> Any:
            return source if source is None or source in names else os.path.abspath(source)  # noqa: PTH100 (keeps links)

        names = (*CORPUS_NAMES, STANDARD_INPUT)
        texts = {name: absolute(getattr(self, name), names) for name in ("corpus", "held_out_file")}
        teachers = self.teachers and [absolute(source, bundled_models()) for source in self.teachers]
        return {**asdict(self), **texts, "teachers": teachers}


def process_numbers() -> tuple[int, int]:
    """Return the number of this process, and how many there are: those that torchrun has started.

    Raises:
        RecipeError: If they are not the numbers that torchrun sets.
    """
    rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise RecipeError("RANK and WORLD_SIZE are not the numbers that torchrun sets: unset them")
    return int(rank), int(size)


def kind_of(option: Field[Any]) -> type:
    """Return the type of an option: int, float, bool, str or list."""
    kinds: tuple[Any, ...] = get_args(option.type) or (option.type,)
    if option.name == "records":
        return str
    kind: type = next(kind for kind in kinds if kind is not type(None))
    return get_origin(kind) or kind


def check(name: str, kind: type, value: object, about: Mapping[str, Any]) -> None:
    """Raise RecipeError if a value is not one of an option."""
    if "choices" in about:
        is_valid, expected = value in about["choices"], f"one of {', '.join(about['choices'])}"
    elif kind in (int, float):
        least, most = about.get("least", 0), about.get("most", MAX_COUNT)
        is_number = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
        is_valid = is_number and (least < value if about.get("above") else least <= value) and value <= most
        bounds = f"of {least:g} or more" if most == MAX_COUNT else f"from {least:g} to {most:g}"
        bounds = f"above {least:g} and at most {most:g}" if about.get("above") else bounds
        expected = f"{'an integer' if kind is int else 'a number'} {bounds}"
    else:
        expected = {bool: "true or false", str: "a text", list: "one or more texts"}[kind]
        is_valid = isinstance(value, kind) and value != []
    if not is_valid:
        raise RecipeError(Name(name), f" must be {expected}, not {quote(value)}")


def restore(kind: type[T], values: dict[str, Any]) -> T:
    """Return a dataclass of values that were stored as JSON.

    Raises:
        KeyError, TypeError, ValueError: If a field is not known or missing, or if a value has another type.
    """
    types = get_type_hints(kind)
    for name, value in values.items():
        parts = get_args(types[name]) if type(None) in get_args(types[name]) else (types[name],)
        if not any(_fits(part, value) for part in parts):
            raise ValueError(f"{name} has a value of another type")
    return kind(**values)


def _fits(kind: Any, value: object) -> bool:
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is Literal:
        return value in parts
    if origin in (list, Sequence):
        return isinstance(value, list) and all(_fits(parts[0], part) for part in value)
    return origin is Any or isinstance(value, origin)


def option_name(name: str) -> str:
    """Return the command-line name of an option, without the leading dashes."""
    return name.replace("_", "-")


def format_value(value: object) -> str:
    """Return the value of an option, as it is written on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---- Hyperparameters ----

# What is no hyperparameter: the trainer decides the one, and the options of a run the other.
INTERNAL = ("parts", "precision")

# The textbook's experiment: F. Chollet, Deep Learning with Python (2017), listing 8.1 and following.
CLASSIC = (
    _core.Option("units", False, 128, 1, 16_384, "LSTM units"),
    _core.Option("window", False, 60, 1, 65_536, "window length in characters"),
    _core.Option("window_step", False, 3, 1, 65_536, "characters between the starts of two windows"),
    _core.Option("batch", False, 128, 1, 65_536, "windows per batch"),
    _core.Option("learning_rate", True, 0.01, 1e-9, 1e9, "learning rate of RMSprop, constant"),
)
CLASSIC_EPOCHS = 60

# The values of another cell that differ from those of the LSTM. The sizes give about as many parameters.
# Convolutions have no recurrent weights. With dropout on the outputs of each layer, they learn more slowly.
NO_PENALTIES = {"activation_penalty": 0.0, "confidence_penalty": 0.0}
CONVOLUTIONS = {"residual": 1, "weight_dropout": 0.0}
CELL_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    LSTM: {},
    GRU: {
        "small": {"units": 168, "layers": 1},
        "medium": {"units": 208, "layers": 2},
        "large": {"units": 520, "learning_rate": 0.012, "weight_decay": 0.05},
    },
    CONV: {
        "small": {"units": 86, "layers": 4, "dropout": 0.0, **CONVOLUTIONS, **NO_PENALTIES},
        "medium": {"units": 148, "layers": 5, "dropout": 0.1, "input_dropout": 0.1, **CONVOLUTIONS},
        "large": {"units": 350, "layers": 6, "dropout": 0.2, "input_dropout": 0.1, **CONVOLUTIONS},
    },
}

# What acts against overfitting, turned off. A network that learns mostly from the predictions of a trained
# model hardly overfits, because they say more of each character than the text does. This was measured in
# ``small``, with a weight of 0.9 and a small vocabulary.
REGULARIZATION = ("dropout", "input_dropout", "weight_dropout", *NO_PENALTIES)
NO_REGULARIZATION = dict.fromkeys(REGULARIZATION, 0.0)
MIN_TEACHER_WEIGHT = 0.8


def hyperparameters(recipe: str | None = None) -> Sequence[_core.Option]:
    """Return the hyperparameters that a user can choose, of the presets or of the classic recipe."""
    return CLASSIC if recipe else [option for option in _core.options() if option.name not in INTERNAL]
