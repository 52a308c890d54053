"""What ``textgen-run --stats`` tells."""

from textgen_runtime.engine import Measurements

MICROSECONDS = 1e6
MILLISECONDS = 1e3


def statistics(
    engine: str, seed: int, load_seconds: float, first_character_seconds: float, measured: Measurements
) -> list[str]:
    """The report, a line a figure.

    Args:
        engine: What ran the model.
        seed: What gives the text again.
        load_seconds: Reading the model, the import of its engine included.
        first_character_seconds: From the start of the command until the first piece of text was written.
        measured: The decoding of all texts; with several threads, their times added up.
    """
    characters = max(measured.characters, 1)
    seconds = measured.model_seconds + measured.sampler_seconds
    model = measured.model_seconds / characters * MICROSECONDS
    sampler = measured.sampler_seconds / characters * MICROSECONDS
    return [
        f"engine           {engine}",
        f"seed             {seed}",
        f"load             {load_seconds * MILLISECONDS:.1f} ms",
        f"first character  {first_character_seconds * MILLISECONDS:.1f} ms after the start",
        f"speed            {characters / max(seconds, 1e-9):,.0f} characters/s",
        f"a character      {model + sampler:.2f} us: model {model:.2f}, sampler {sampler:.2f}",
        f"mean entropy     {measured.entropy_bits / characters:.3f} bits a character",
    ]
