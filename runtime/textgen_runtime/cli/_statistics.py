"""The report of ``textgen-run --stats``."""

from collections.abc import Sequence
from typing import NamedTuple

from textgen_runtime.engines.base import Measurements
from textgen_runtime.generation.model import Model
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.levels import unit_of

from ._sampling_options import sampling_heading

LABEL_WIDTH = 20
MICROSECONDS = 1e6
MILLISECONDS = 1e3


class Times(NamedTuple):
    """How long the parts of a run took, in seconds.

    Attributes:
        load: Loading the model, including the import of its engine.
        first_text: From the start of the command to the first text that was written.
        drawing: Drawing the texts, by all threads together.
    """

    load: float
    first_text: float
    drawing: float


def format_statistics(
    model: Model,
    seed: int,
    times: Times,
    measured: Sequence[tuple[Sampling, Measurements]],
) -> list[str]:
    """Return the report, one line per value.

    All values are per draw. Draws of rejected texts, and of tokens that end a text before them, count, too:
    they took time, and had a distribution.

    Args:
        model: The model that generated the texts.
        seed: The seed that reproduces them.
        times: How long the parts of the run took.
        measured: Each sampling with the measurements of its texts. Times of several threads are summed.
    """
    unit = unit_of(model.tokenizer)
    sums = Measurements()
    for _, measurements in measured:
        sums.merge(measurements)
    draws = max(sums.draws, 1)
    forward = sums.model_seconds / draws * MICROSECONDS
    sampler = sums.sampler_seconds / draws * MICROSECONDS
    values = [
        ("engine", model.engine.name),
        ("seed", str(seed)),
        ("load time", f"{times.load * MILLISECONDS:.1f} ms"),
        (f"first {unit}", f"{times.first_text * MILLISECONDS:.1f} ms after start"),
        ("throughput", f"{draws / max(times.drawing, 1e-9):,.0f} {unit}s/s"),
        (f"time per {unit}", f"{forward + sampler:.2f} us (model {forward:.2f}, sampler {sampler:.2f})"),
        *(("mean entropy", entropy) for entropy in mean_entropies(measured, unit)),
    ]
    return [format_value(label, value) for label, value in values]


def format_value(label: str, value: str) -> str:
    """Return one line of the report."""
    return f"{label:<{LABEL_WIDTH}}{value}"


def mean_entropies(measured: Sequence[tuple[Sampling, Measurements]], unit: str) -> list[str]:
    """Return the mean entropy of each sampling. A mean over several samplings would describe none of them."""
    several = len(measured) > 1
    return [
        f"{measurements.entropy_bits / max(measurements.draws, 1):.3f} bits per {unit}"
        + f" at {sampling_heading(sampling).replace(':', '')}" * several
        for sampling, measurements in measured
    ]
