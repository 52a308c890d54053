"""What a training run leaves behind beside the model: figures, samples, and the curves."""

import io
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from textgen_runtime.atomic import replace_file
from textgen_runtime.corpus import SAMPLES_FILE
from textgen_runtime.errors import OutputError
from textgen_runtime.json_text import to_json
from textgen_runtime.shipped import FILE_IN_FOLDER

MODEL_FILE = FILE_IN_FOLDER
METRICS_FILE = "metrics.jsonl"
CURVES_FILE = "loss.png"
FILES = (MODEL_FILE, METRICS_FILE, SAMPLES_FILE, CURVES_FILE)


@dataclass(frozen=True)
class Evaluation:
    """One line of ``metrics.jsonl``.

    Attributes:
        step: Updates of the weights so far.
        epoch: Passes over the training text so far, with a fraction.
        seconds: Since training began, evaluations included.
        training_nats: Mean loss a character since the evaluation before, under the dropout of the recipe, so
            that it can be above the held-out loss, for which nothing is left out.
        held_out_nats: Mean loss a character of the held-out text.
        bits_per_character: The same in bits.
        learning_rate: Of the last update; AdamW's where Muon has one of its own.
        characters_per_second: Trained on since the evaluation before; None where it learns from windows.
        windows_per_second: The same in windows, each with one character to predict; None where it does not.
    """

    step: int
    epoch: float
    seconds: float
    training_nats: float
    held_out_nats: float
    bits_per_character: float
    learning_rate: float
    characters_per_second: float | None = None
    windows_per_second: float | None = None

    def as_json(self) -> dict[str, float]:
        """What is known of it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Report:
    """Gathers evaluations and samples and keeps their files up to date.

    Args:
        folder: Where the files go.
        title: Of the curves.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self._folder = folder
        self._title = title
        self._samples: list[str] = []
        self.evaluations: list[Evaluation] = []
        # Names of the files that are there and up to date.
        self.files: list[str] = []

    def add(self, evaluation: Evaluation, samples: str) -> list[OutputError]:
        """Add an evaluation, and write all files anew.

        Returns:
            What kept files from being written; the others are.
        """
        self.evaluations.append(evaluation)
        if samples:
            self._samples.append(f"{describe(evaluation)}\n\n{samples}\n\n")
        self.files, failures = [], []
        # The picture last: it takes longest, and whatever happens meanwhile costs no figures.
        for name, content in (
            (METRICS_FILE, self._metrics),
            (SAMPLES_FILE, lambda: "".join(self._samples).encode()),
            (CURVES_FILE, self._curves),
        ):
            try:
                self._put(self._folder / name, content())
            except OutputError as error:
                failures.append(error)
        return failures

    def _put(self, path: Path, content: bytes) -> None:
        if content:
            replace_file(path, content)
            self.files.append(path.name)
            return
        try:
            # What an earlier run left there is not of this model.
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error

    def _metrics(self) -> bytes:
        return "".join(to_json(entry.as_json()) + "\n" for entry in self.evaluations).encode()

    def _curves(self) -> bytes:
        """Training and held-out loss over time, as a PNG picture."""
        # Only here, because it takes a second; and without pyplot, which keeps global state.
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        seconds = [entry.seconds for entry in self.evaluations]
        training = [entry.training_nats for entry in self.evaluations]
        held_out = [entry.held_out_nats for entry in self.evaluations]
        best = min(held_out)
        axes.plot(seconds, training, marker=".", label="training")
        axes.plot(seconds, held_out, marker="o", label="held out")
        axes.axhline(best, color="grey", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"best {best:.3f}", (0, best), (2, 3), textcoords="offset points", color="dimgrey", fontsize=9
        )
        # A corpus may be called anything: dollar signs are no formula here.
        axes.set_title(self._title, parse_math=False)
        axes.set(xlabel="seconds", ylabel="loss (nats a character)", xlim=(0, None))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        picture = io.BytesIO()
        with warnings.catch_warnings():
            # Nor need its name be in the font's alphabet.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(picture, format="png")
        return picture.getvalue()


def describe(evaluation: Evaluation) -> str:
    """An evaluation in one line."""
    return (
        f"epoch {evaluation.epoch:.1f}, {evaluation.seconds:.0f} s: held out "
        f"{evaluation.held_out_nats:.4f} nats ({evaluation.bits_per_character:.3f} bits a character), "
        f"training {evaluation.training_nats:.4f}"
    )
