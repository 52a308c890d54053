"""The loss curves of a report, over updates and over time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from textgen_train.loop.eval_result import Evaluation

from .chart import Chart, Curve, figure, picture
from .html_text import table
from .references import Reference
from .scales import format_duration, time_unit

# Rows of the table of evaluations. Of more evaluations, every second or third and so on is listed.
MAX_ROWS = 60


def loss_charts(evaluations: Sequence[Evaluation], references: Sequence[Reference]) -> str:
    """Return two figures with the loss curves, over updates and over time."""
    unit, length = time_unit(evaluations[-1].seconds)
    steps = [float(evaluation.step) for evaluation in evaluations]
    times = [evaluation.seconds / length for evaluation in evaluations]
    return figure(_chart("updates", steps, evaluations, references)) + figure(
        _chart(unit, times, evaluations, references)
    )


def loss_picture(title: str, evaluations: Sequence[Evaluation]) -> bytes:
    """Return the loss curves over time as an SVG file, with a line at the best held-out loss."""
    unit, length = time_unit(evaluations[-1].seconds)
    times = [evaluation.seconds / length for evaluation in evaluations]
    best = min(evaluation.held_out_nats for evaluation in evaluations)
    chart = _chart(unit, times, evaluations, [Reference("best", best)])
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
    # Metrics of older versions lack this loss.
    scored = [(x, item) for x, item in zip(positions, evaluations, strict=True) if item.training_eval_nats]
    training = [item.training_eval_nats or 0.0 for _, item in scored]
    marks = [(f"held out {held_out[-1]:.3f}", held_out[-1], "held-out")]
    if training:
        marks.append((f"training {training[-1]:.3f}", training[-1], "training"))

    def curve(style: str, values: Iterable[float]) -> Curve:
        return Curve(style, [*zip(positions, values, strict=True)])

    return Chart(
        name=f"loss-{unit}",
        title=f"Loss over {unit}",
        description=f"The held-out loss is {held_out[0]:.3f} nats per character at the first evaluation, and "
        f"{held_out[-1]:.3f} at the last one. The table of evaluations has all values.",
        x_label=unit,
        curves=[
            curve("running", (evaluation.training_nats for evaluation in evaluations)),
            Curve(
                "training",
                [(x, item.training_eval_nats or 0.0) for x, item in scored],
                [_tooltip("training", item, item.training_eval_nats or 0.0) for _, item in scored],
            ),
            Curve(
                "held-out",
                [*zip(positions, held_out, strict=True)],
                [_tooltip("held-out", item, item.held_out_nats) for item in evaluations],
            ),
        ],
        references=[(f"{reference.name} {reference.nats:.3f}", reference.nats) for reference in references],
        marks=marks,
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
            "" if evaluation.training_eval_nats is None else f"{evaluation.training_eval_nats:.4f}",
            f"{evaluation.training_nats:.4f}",
        ]
        for evaluation in shown
    ]
    return table("Losses per character at each evaluation", columns, rows, range(1, len(columns)))
