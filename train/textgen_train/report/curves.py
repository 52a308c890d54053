"""Loss curves of a training run."""

import io
import warnings
from collections.abc import Sequence

# pyplot is not used, because it keeps global state.
from matplotlib.figure import Figure

from textgen_train.loop.eval_result import Evaluation


def draw_curves(title: str, evaluations: Sequence[Evaluation]) -> bytes:
    """Plot the training and held-out loss over time, and return the plot as a PNG file."""
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    seconds = [evaluation.seconds for evaluation in evaluations]
    training = [evaluation.training_nats for evaluation in evaluations]
    held_out = [evaluation.held_out_nats for evaluation in evaluations]
    best = min(held_out)
    axes.plot(seconds, training, marker=".", label="training")
    axes.plot(seconds, held_out, marker="o", label="held out")
    axes.axhline(best, color="grey", linewidth=0.8, linestyle=":")
    axes.annotate(
        f"best {best:.3f}", (0, best), (2, 3), textcoords="offset points", color="dimgrey", fontsize=9
    )
    # The title contains the name of a corpus, in which dollar signs do not mark formulas.
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="seconds", ylabel="loss (nats per character)", xlim=(0, None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    content = io.BytesIO()
    with warnings.catch_warnings():
        # The font may lack characters of that name.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(content, format="png")
    return content.getvalue()
