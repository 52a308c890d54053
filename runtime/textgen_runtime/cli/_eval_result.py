"""The figures of scored texts, as ``textgen-eval`` writes them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textgen_runtime.scoring.compressors import COMPRESSORS
from textgen_runtime.scoring.prediction import Prediction, Score, total_score
from textgen_runtime.text.character_tokenizer import CHARACTER


@dataclass(frozen=True)
class EvalResult:
    """One text's figures.

    Attributes:
        name: What the text is called.
        prediction: How it was predicted; None for several texts together.
        score: What that comes to.
        skipped: Characters left out because the model does not know them.
        seconds: What predicting took.
        compressed: Bits that each compressor needs.
        last: The share of the text that was scored.
        unknown: Tokens scored as the model's unknown symbol.
    """

    name: str
    prediction: Prediction | None
    score: Score
    skipped: int
    seconds: float
    compressed: dict[str, int]
    last: float
    unknown: int = 0

    @property
    def characters_per_second(self) -> float:
        return self.score.characters / max(self.seconds, 1e-9)

    def as_json(self) -> dict[str, Any]:
        """The figures as ``--json`` writes them."""
        score = self.score
        return {
            "name": self.name,
            "characters": score.characters,
            "tokens": score.tokens,
            "skipped": self.skipped,
            "unknown": self.unknown,
            "nats": score.nats,
            "bits": score.bits,
            # JSON has no infinity, which a model that rules the text out comes to.
            "perplexity": score.perplexity if math.isfinite(score.perplexity) else None,
            "accuracy": score.accuracy,
            "seconds": self.seconds,
            "characters_per_second": self.characters_per_second,
            "compressors": {name: bits / score.characters for name, bits in self.compressed.items()},
        }

    @property
    def predicted(self) -> str:
        """What was scored, for a person."""
        part = f", the last {self.last:.4g} of the text" if self.last < 1 else ""
        skipped = f", {self.skipped:,} unknown ones skipped" if self.skipped else ""
        unknown = f", {self.unknown:,} of them as the unknown symbol" if self.unknown else ""
        tokens = "" if self.score.unit == CHARACTER else f" in {self.score.tokens:,} tokens"
        return f"{self.score.characters:,} characters predicted{tokens}{part}{unknown}{skipped}"

    def lines(self) -> list[str]:
        """The figures for a person."""
        score = self.score
        beside = "  ".join(f"{name} {bits / score.characters:.3f}" for name, bits in self.compressed.items())
        return [
            f"{self.name}: {self.predicted}, {self.characters_per_second:,.0f} characters/s",
            f"  {summary(score)}",
            f"  bits a character: model {score.bits:.3f}  {beside}",
        ]


def summary(score: Score) -> str:
    """A score in one line."""
    perplexity = f"{score.perplexity:.3f}" + " a token" * (score.unit != CHARACTER)
    return (
        f"{score.nats:.4f} nats a character, {score.bits:.4f} bits, perplexity {perplexity}, "
        f"likeliest {score.unit} right {score.accuracy:.1%}"
    )


def combined(texts: Sequence[EvalResult]) -> EvalResult:
    """Several texts as one; each was read and compressed on its own."""
    return EvalResult(
        "all together",
        None,
        total_score([text.score for text in texts]),
        sum(text.skipped for text in texts),
        sum(text.seconds for text in texts),
        {name: sum(text.compressed[name] for text in texts) for name in COMPRESSORS},
        texts[0].last,
        sum(text.unknown for text in texts),
    )
