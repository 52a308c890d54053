"""The curves of a training run."""

import io
import warnings
from collections.abc import Sequence

from textgen_train.loop.eval_result import Evaluation


def draw_curves(title: str, evaluations: Sequence[Evaluation]) -> bytes:
    """Training and held-out loss over time, as a PNG picture."""
    # Only here, because it takes a second; and without pyplot, which keeps global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    seconds = [entry.seconds for entry in evaluations]
    training = [entry.training_nats for entry in evaluations]
    held_out = [entry.held_out_nats for entry in evaluations]
    best = min(held_out)
    axes.plot(seconds, training, marker=".", label="training")
    axes.plot(seconds, held_out, marker="o", label="held out")
    axes.axhline(best, color="grey", linewidth=0.8, linestyle=":")
    axes.annotate(
        f"best {best:.3f}", (0, best), (2, 3), textcoords="offset points", color="dimgrey", fontsize=9
    )
    # A corpus may be called anything: dollar signs are no formula here.
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="seconds", ylabel="loss (nats a character)", xlim=(0, None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # Nor need its name be in the font's alphabet.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(picture, format="png")
    return picture.getvalue()
