"""The options of a training run.

Each is declared once. The help and the arguments of the command line, the values in a checkpoint, and the
options of a resumed run follow from the declarations.
"""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from textgen_runtime.corpus import CORPUS_NAMES
from textgen_runtime.errors import Name
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.text import RECORD_KINDS, UNICODE_FORMS, Normalization, RecordKind, as_unicode_form
from textgen_runtime.tokenizer import CHARACTER, LEVELS, WORD

from .errors import RecipeError
from .parameters import Parameters, Range, choice, flag, number, text, texts
from .presets import MIN_TEACHER_WEIGHT, PRESETS, SCALE, preset
from .recipe import LSTM, AnyRecipe, Budget, ClassicRecipe, Recipe

# The command.
PROG = "textgen-train"

DEFAULT_MINUTES = 5.0
# A year.
MAX_MINUTES = 525_600.0

DEFAULT_PRESET = "small"

# The textbook trains for 60 epochs.
CLASSIC_EPOCHS = 60

VOCABULARY_SIZE = 4096

TEACHER_WEIGHT = 0.9

# The share of a text that is held out by default, and the maximum number of characters of that part. More
# characters would make evaluations slower, but the loss hardly more precise.
HELD_OUT_SHARE = 0.1
MAX_HELD_OUT_CHARACTERS = 1_000_000

# Of a process. More threads than cores gain nothing.
MAX_THREADS = 256

# The options that name texts.
TEXTS = ("corpus", "held_out_file")


@dataclass(frozen=True)
class RunOptions(Parameters):
    """The options that belong to a run, also after it was resumed.

    Attributes:
        hyperparameters: The hyperparameters that the user has chosen. The preset or the classic recipe has
            the others.
    """

    corpus: str = text(
        "",
        "a UTF-8 file, which may be compressed (.gz), a folder with .txt or .abc files, - for standard "
        f"input, or the name of a corpus: {', '.join(CORPUS_NAMES)}; with --level byte, any file or all "
        "files of a folder",
        metavar="CORPUS",
        group="corpus",
    )
    level: str = choice(
        CHARACTER,
        "what the model predicts: characters; the bytes of any file; or words, and the characters of rare "
        "words (default: character)",
        LEVELS,
        group="corpus",
    )
    vocabulary_size: int | None = number(
        None,
        "maximum number of symbols with --level word: all characters of the text, and its most frequent "
        f"words (default: {VOCABULARY_SIZE})",
        Range(2),
        group="corpus",
    )
    lowercase: bool = flag("convert the text to lower case", group="corpus")
    unicode: str = choice(
        "NFC",
        "Unicode normal form: NFC, NFD, NFKC, NFKD or none (default: NFC)",
        (*UNICODE_FORMS, "none"),
        metavar="FORM",
        group="corpus",
    )
    min_count: int = number(
        1,
        "replace all characters that occur fewer than N times in the training text by one unknown symbol; "
        "the losses of models with different N are not comparable (default: 1, which keeps all characters)",
        Range(1),
        group="corpus",
    )
    records: RecordKind | None = choice(  # noqa: RUF009 (a field)
        None,
        "train on records, each of which is a text of its own: lines, such as names or molecules, or texts "
        "between blank lines, such as tunes; the held-out part is a random choice of records (default: one "
        "continuous text)",
        RECORD_KINDS,
        group="corpus",
    )
    held_out: float | None = number(
        None,
        "do not train on the last SHARE of the text, or on a random SHARE of the records, but measure the "
        f"loss there (default: {HELD_OUT_SHARE}, at most {MAX_HELD_OUT_CHARACTERS:,} characters)",
        Range(0, 1, above=True, below=True),
        metavar="SHARE",
        group="corpus",
        excludes="held-out text",
    )
    held_out_file: str | None = text(
        None,
        "train on the whole corpus, and measure the loss on this text: a file, a folder, - or the name of a "
        "corpus",
        metavar="TEXT",
        group="corpus",
        excludes="held-out text",
    )
    parent: str | None = text(
        None,
        "start from the weights of MODEL instead of random ones; MODEL is a model file, a folder with "
        "model.onnx, or the name of a bundled model; it determines the network, the vocabulary and the "
        "normalization; the default preset is then the one with the most similar network",
        # A keyword of Python.
        option="from",
        metavar="MODEL",
        group="fine-tuning",
    )
    extend: bool = flag(
        "extend the vocabulary of the model by the symbols that only the corpus has", group="fine-tuning"
    )
    teachers: list[str] | None = texts(  # noqa: RUF009 (a field)
        "also learn from the predictions of these trained models, so that a small network gets a lower loss; "
        "each MODEL is a model file, a folder with model.onnx, or the name of a bundled model, and must have "
        "the vocabulary of the corpus",
        option="teacher",
        metavar="MODEL",
        group="distillation",
    )
    teacher_weight: float | None = number(
        None,
        "weight of the teachers' predictions in the loss; the weight of the text is 1 - X; from "
        f"{MIN_TEACHER_WEIGHT:g} on, the presets have no dropout and no penalties (default: "
        f"{TEACHER_WEIGHT:g})",
        Range(0, 1, above=True),
        group="distillation",
    )
    minutes: float | None = number(
        None,
        f"duration of the run in minutes, including evaluations (default: {DEFAULT_MINUTES:g})",
        Range(0, MAX_MINUTES, above=True),
        group="budget",
        excludes="length",
    )
    epochs: int | None = number(
        None,
        "number of passes over the training text, instead of --minutes (default: none; classic: "
        f"{CLASSIC_EPOCHS})",
        Range(1),
        group="budget",
        excludes="length",
    )
    device: str = choice(
        "auto",
        "device that trains the network: auto chooses a GPU, cuda or mps, if there is one, and otherwise cpu "
        "(default: auto)",
        ("auto", "cpu", "cuda", "mps"),
        group="hardware",
    )
    threads: int | None = number(
        None,
        "maximum number of threads of a process, for training and evaluation (default: one per available "
        "processor)",
        Range(1, MAX_THREADS),
        group="hardware",
    )
    preset: str | None = choice(
        None,
        "network size, learning rates and regularization: small for 1 to 10 minutes, medium for 30, large "
        f"for 60 (default: {DEFAULT_PRESET})",
        tuple(PRESETS),
        group="recipe",
        excludes="recipe",
    )
    recipe: str | None = choice(
        None,
        "repeat the experiment of F. Chollet's textbook, with lower case, windows of 60 characters, one-hot "
        "input and RMSprop (default: none)",
        (ClassicRecipe.name,),
        group="recipe",
        excludes="recipe",
    )
    seed: int = number(
        0,
        "random seed of the weights, batches, dropout and samples (default: 0)",
        Range(0),
        group="optimization",
    )
    quantize: bool = flag(
        "at the end, also write model.int8.onnx, which is the best model with 8-bit weights and has about a "
        "quarter of the size; print and store its held-out loss; only for --cell lstm",
        group="output",
    )
    no_samples: bool = flag("do not generate samples at the evaluations", group="output")
    tensorboard: bool = flag(
        "also write losses, learning rate, speed and samples for TensorBoard, to the folder tensorboard in "
        "the output folder; requires the package tensorboard",
        group="output",
    )
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options, each alone and together."""
        super().__post_init__()
        if not self.corpus:
            raise RecipeError(Name("corpus"), " must be a text to train on")
        check_standard_input(self.corpus, self.held_out_file)
        self._check_excluded()
        if self.vocabulary_size is not None and self.level != WORD:
            raise RecipeError(Name("vocabulary_size"), " requires ", Name("level", WORD))
        if self.extend and self.parent is None:
            raise RecipeError(Name("extend"), " requires ", Name("parent"), " MODEL")
        if self.teacher_weight is not None and self.teachers is None:
            raise RecipeError(Name("teacher_weight"), " requires ", Name("teachers"), " MODEL")
        self._check_recipe()

    @property
    def budget(self) -> Budget:
        """The length of the run."""
        if self.minutes is not None:
            return Budget(minutes=self.minutes)
        if self.epochs is not None:
            return Budget(epochs=self.epochs)
        return Budget(epochs=CLASSIC_EPOCHS) if self.recipe else Budget(minutes=DEFAULT_MINUTES)

    @property
    def weight_of_teachers(self) -> float:
        """The share of the predictions of ``teachers`` in what the network learns."""
        return TEACHER_WEIGHT if self.teacher_weight is None else self.teacher_weight

    @property
    def normalization(self) -> Normalization:
        """The normalization of the texts. The classic recipe converts them to lower case."""
        form = None if self.unicode == "none" else as_unicode_form(self.unicode)
        return Normalization(self.lowercase or self.recipe is not None, form)

    @property
    def recipe_name(self) -> str:
        """The name of the preset or of the recipe without the changes of the user."""
        return f"{self.recipe} recipe" if self.recipe else f"preset {self.preset or DEFAULT_PRESET}"

    def usual_recipe(
        self, common_symbols: int = 0, training_tokens: int = SCALE, epochs: float | None = None
    ) -> AnyRecipe:
        """Return the preset or the classic recipe without the changes of the user; see ``preset``."""
        if self.recipe:
            return ClassicRecipe()
        return preset(
            self.preset or DEFAULT_PRESET,
            common_symbols,
            cell=self.hyperparameters.get("cell", Recipe.cell),
            epochs=epochs,
            training_tokens=training_tokens,
            teacher_weight=self.weight_of_teachers if self.teachers else 0.0,
        )

    def choose_recipe(
        self, common_symbols: int = 0, training_tokens: int = SCALE, epochs: float | None = None
    ) -> AnyRecipe:
        """Return ``usual_recipe`` with the changes of the user."""
        return replace(self.usual_recipe(common_symbols, training_tokens, epochs), **self.hyperparameters)

    def depends_on_epochs(self, common_symbols: int, training_tokens: int) -> bool:
        """Return whether the recipe for a corpus depends on the number of epochs."""
        sizes = common_symbols, training_tokens
        return self.choose_recipe(*sizes, epochs=0.0) != self.choose_recipe(*sizes, epochs=math.inf)

    def _check_excluded(self) -> None:
        """Check that at most one option is given of those that exclude each other."""
        given: dict[str, str] = {}
        for option in fields(self):
            shared = option.metadata.get("excludes")
            if shared and getattr(self, option.name) is not None:
                if shared in given:
                    raise RecipeError(Name(option.name), " is not allowed with ", Name(given[shared]))
                given[shared] = option.name

    def _check_recipe(self) -> None:
        """Check the hyperparameters, and the options that not every recipe has."""
        base: type[AnyRecipe] = ClassicRecipe if self.recipe else Recipe
        known = {parameter.name for parameter in fields(base)}
        for name in self.hyperparameters:
            if name not in known:
                raise RecipeError(Name(name), f" is not an option of the {base.name} recipe")
        self._check_classic()
        if "cell" in self.hyperparameters:
            # There is no preset for an unknown cell.
            Recipe(cell=self.hyperparameters["cell"])
        recipe = self.choose_recipe()
        if not isinstance(recipe, Recipe):
            return
        if not recipe.muon_lr and "muon_weight_decay" in self.hyperparameters:
            muon_lr = Name("muon_lr")
            raise RecipeError(
                Name("muon_weight_decay"), " has no effect while ", muon_lr, " is 0: pass ", muon_lr, " too"
            )
        if self.hyperparameters.get("residual") and recipe.layers == 1:
            raise RecipeError(
                Name("residual"), " has no effect on a single layer: pass ", Name("layers"), " too"
            )
        if self.quantize and recipe.cell != LSTM:
            raise RecipeError(Name("quantize"), f" is only for the cell lstm, not for {recipe.cell}")

    def _check_classic(self) -> None:
        """Check that no option is given that the classic recipe lacks."""
        if self.recipe and self.records is not None:
            raise RecipeError(
                Name("records"), " is not an option of the classic recipe, which trains on one text"
            )
        if self.recipe and self.level != CHARACTER:
            raise RecipeError(
                Name("level"), " is not an option of the classic recipe, which trains on characters"
            )
        if self.recipe and self.teachers is not None:
            raise RecipeError(
                Name("teachers"), " is not an option of the classic recipe, which learns from the text alone"
            )


def check_standard_input(corpus: str | None, held_out_file: str | None) -> None:
    """Raise RecipeError if both texts are standard input."""
    if corpus == held_out_file == STANDARD_INPUT:
        raise RecipeError(f"standard input ({STANDARD_INPUT}) can be read only once")
