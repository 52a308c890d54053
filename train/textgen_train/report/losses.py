"""The losses in a report: curves, a table, and simple models for comparison, which a thread measures."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from textgen_runtime.baselines import KneserNey, compressed_bits
from textgen_runtime.errors import TextgenError
from textgen_runtime.score import BITS_PER_NAT

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import count_characters, count_characters_after, text_of
from textgen_train.loop.events import Evaluation, EvaluationHistory

from .chart import Chart, Curve, figure, format_duration, picture, time_unit
from .html import html, table

ORDER = 7

ReadTexts: TypeAlias = Callable[[int, int], tuple[str, str]]

# Bounds of the time and the memory: a second or two, and about 100 MB. With rare symbols, a corpus is also
# read again. Of a longer training text, the references use the end, and of a longer held-out text, the
# beginning.
MAX_TRAINING_TOKENS = 1_500_000
MAX_HELD_OUT_TOKENS = 250_000


@dataclass(frozen=True)
class Reference:
    """The held-out loss of a simple model, in nats per character."""

    name: str
    nats: float


def measure_references(dataset: Dataset, read_texts: ReadTexts | None = None) -> Iterator[Reference]:
    """Yield the references of a dataset, the fastest first.

    The n-gram model is trained on the training text. The loss of a compressor is the size of both texts
    together minus that of the training text, when compressed, per character of the held-out text.

    Args:
        read_texts: Reads the texts that the compressors get, if the unknown symbol replaces rare symbols of
            the dataset; see ``dataset_from_corpus.read_texts``. The arguments are the numbers of characters.
    """
    training = np.asarray(dataset.training[-MAX_TRAINING_TOKENS:])
    held_out = np.asarray(dataset.held_out[:MAX_HELD_OUT_TOKENS])
    characters = count_characters_after(dataset.before_held_out, held_out, dataset.tokenizer)
    ngrams = KneserNey(training, ORDER, len(dataset.tokenizer))
    yield Reference(f"{ORDER}-gram", float(ngrams.surprisals(held_out, training[-ORDER:]).sum()) / characters)
    if read_texts:
        before, after = read_texts(count_characters(training, dataset.tokenizer), characters)
    else:
        before, after = text_of(training, dataset.tokenizer), text_of(held_out, dataset.tokenizer)
    bits, both_bits = compressed_bits(before), compressed_bits(before + after)
    for name in bits:
        yield Reference(name, (both_bits[name] - bits[name]) / characters / BITS_PER_NAT)


def describe_bounds(dataset: Dataset) -> str:
    """Return a sentence on the parts of the texts that the references use; "" if they use all."""
    parts = []
    if len(dataset.training) > MAX_TRAINING_TOKENS:
        parts.append(f"the last {MAX_TRAINING_TOKENS:,} of {len(dataset.training):,} training tokens")
    if len(dataset.held_out) > MAX_HELD_OUT_TOKENS:
        parts.append(f"the first {MAX_HELD_OUT_TOKENS:,} of {len(dataset.held_out):,} held-out tokens")
    return f"To save time, all these models use only {' and '.join(parts)}." if parts else ""


class References:
    """Measures the references of a dataset in a thread, so that training does not wait.

    The arguments are those of ``measure_references``.

    Attributes:
        results: The references that are measured so far.
        bounds: The result of ``describe_bounds``.
    """

    def __init__(self, dataset: Dataset, read_texts: ReadTexts | None = None) -> None:
        self.results: tuple[Reference, ...] = ()
        self.bounds = describe_bounds(dataset)
        self._dataset, self._read_texts = dataset, read_texts
        # It does not delay the end of the program.
        self._thread = threading.Thread(target=self._measure, name="textgen-references", daemon=True)

    def start(self) -> None:
        """Start to measure."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait at most this time, and return whether all references are measured."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return self._thread.ident is not None and not self._thread.is_alive()

    def _measure(self) -> None:
        try:
            for reference in measure_references(self._dataset, self._read_texts):
                self.results = (*self.results, reference)
        except MemoryError:
            self.bounds = "There was not enough memory for all models."
        except TextgenError as error:
            self.bounds = f"The compressors have no figures: {error}."


EXPLANATION = """
The loss is the mean negative log-probability of the next character. Lower is better. The curves
<span class="key held-out">held out</span> and <span class="key training">training</span> are computed alike:
the first on text that is not used for training, the second on a part of the training text. If the held-out
loss rises while the training loss falls, the model is overfitted. The
<span class="key running">thin curve</span> is the loss during training, with dropout.
"""

REFERENCES = """
The n-gram model has Kneser-Ney smoothing, and the same training text. A compressor compresses the training
text alone, and both texts together. The difference of the two sizes, per held-out character, is its loss.
"""

# Rows of the table of evaluations. Of more evaluations, every second or third and so on is listed.
MAX_ROWS = 60


def loss_section(history: EvaluationHistory, references: Sequence[Reference], notes: str) -> str:
    """Return the loss curves, the losses of simple models with notes on them, and all evaluations."""
    evaluations, best = history.evaluations, history.best
    parts = [
        f"<p>{EXPLANATION}</p>",
        f'<div class="charts">{loss_charts(evaluations, references)}</div>',
    ]
    if references:
        rows = [
            [html(name), f"{nats:.4f}", f"{nats * BITS_PER_NAT:.3f}"]
            for name, nats in (
                ("this model", best.held_out_nats),
                *((reference.name, reference.nats) for reference in references),
            )
        ]
        caption = "Held-out loss of simple models, for comparison"
        parts += [
            table(caption, ["model", "nats", "bits"], rows, (1, 2)),
            f"<p>{REFERENCES} {html(notes)}</p>",
        ]
    elif notes:
        parts.append(f"<p>{html(notes)}</p>")
    details = evaluation_table(evaluations, best)
    parts.append(f"<details><summary>All evaluations</summary>{details}</details>")
    return "\n".join(parts)


def loss_charts(evaluations: Sequence[Evaluation], references: Sequence[Reference]) -> str:
    """Return two figures with the loss curves, over updates and over time."""
    unit, length = time_unit(evaluations[-1].seconds)
    steps = [float(evaluation.step) for evaluation in evaluations]
    times = [evaluation.seconds / length for evaluation in evaluations]
    return figure(_chart("updates", steps, evaluations, references)) + figure(
        _chart(unit, times, evaluations, references)
    )


def loss_picture(title: str, history: EvaluationHistory) -> bytes:
    """Return the loss curves over time as an SVG file, with a line at the best held-out loss."""
    evaluations, best = history.evaluations, Reference("best", history.best.held_out_nats)
    unit, length = time_unit(evaluations[-1].seconds)
    times = [evaluation.seconds / length for evaluation in evaluations]
    chart = _chart(unit, times, evaluations, [best])
    thin = ("with dropout", evaluations[-1].training_nats, "running")
    chart = replace(chart, title=f"{title}: loss in nats per character", marks=[*chart.marks, thin])
    return picture(chart).encode()


def _chart(
    unit: str,
    positions: Sequence[float],
    evaluations: Sequence[Evaluation],
    references: Sequence[Reference],
) -> Chart:
    held_out = [evaluation.held_out_nats for evaluation in evaluations]
    training = [evaluation.training_eval_nats for evaluation in evaluations]

    def curve(style: str, values: Iterable[float], name: str = "") -> Curve:
        points = [*zip(positions, values, strict=True)]
        tooltips = [
            _tooltip(name, item, nats) for item, (_, nats) in zip(evaluations, points, strict=True) if name
        ]
        return Curve(style, points, tooltips)

    return Chart(
        name=f"loss-{unit}",
        title=f"Loss over {unit}",
        description=f"The held-out loss is {held_out[0]:.3f} nats per character at the first evaluation, and "
        f"{held_out[-1]:.3f} at the last one. The table of evaluations has all values.",
        x_label=unit,
        curves=[
            curve("running", (evaluation.training_nats for evaluation in evaluations)),
            curve("training", training, "training"),
            curve("held-out", held_out, "held-out"),
        ],
        references=[(f"{reference.name} {reference.nats:.3f}", reference.nats) for reference in references],
        marks=[
            (f"held out {held_out[-1]:.3f}", held_out[-1], "held-out"),
            (f"training {training[-1]:.3f}", training[-1], "training"),
        ],
        panel=curve("learning-rate", (evaluation.learning_rate for evaluation in evaluations)),
        panel_label="learning rate",
    )


def _tooltip(name: str, evaluation: Evaluation, nats: float) -> str:
    return (
        f"{name} loss {nats:.4f} nats, update {evaluation.step:,}, epoch {evaluation.epoch:.1f}, "
        f"{format_duration(evaluation.seconds)}"
    )


def evaluation_table(evaluations: Sequence[Evaluation], best: Evaluation) -> str:
    """Return the evaluations as a table. The best one is marked."""
    stride = max(1, -(-len(evaluations) // MAX_ROWS))
    shown = [
        evaluation
        for number, evaluation in enumerate(evaluations)
        if number % stride == 0 or evaluation in (best, evaluations[-1])
    ]
    columns = ["update", "epoch", "time", "held out, nats", "bits", "training, nats", "with dropout, nats"]
    rows = [
        [
            f"{evaluation.step:,}{' (best)' if evaluation == best else ''}",
            f"{evaluation.epoch:.1f}",
            format_duration(evaluation.seconds),
            f"{evaluation.held_out_nats:.4f}",
            f"{evaluation.bits_per_character:.3f}",
            f"{evaluation.training_eval_nats:.4f}",
            f"{evaluation.training_nats:.4f}",
        ]
        for evaluation in shown
    ]
    return table("Losses per character at each evaluation", columns, rows, range(1, len(columns)))
