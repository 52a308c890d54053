"""The measurements inside one process: one stream, latency, many streams, prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgen_runtime._sampler import Sampler
from textgen_runtime.engine import Measurements, State
from textgen_runtime.generator import Model
from textgen_runtime.loading import open_model
from textgen_runtime.native_engine import NativeEngine

from .loops import WINDOW, HandWritten
from .report import Section, microseconds, per_second, times
from .rounds import interleave, medians, sized

PERCENTILES = (50, 90, 99, 99.9, 100)
STREAMS = (1, 4, 16, 64, 256)
PROMPT = 512


@dataclass(frozen=True)
class Bench:
    """What is measured, and for how long.

    Attributes:
        content: The model file.
        temperature: Of all draws.
        seconds: For each comparison.
        threads: What "all threads" means.
    """

    content: bytes
    temperature: float
    seconds: float
    threads: int

    def model(self, engine: str, threads: int = 1) -> Model:
        return open_model(self.content, engine, threads)  # type: ignore[arg-type]

    def takes(self, model: Model) -> Callable[[int], object]:
        """Makes characters with the public API."""
        return model.start(temperature=self.temperature, seed=0).take


def one_stream(bench: Bench, engines: Sequence[str]) -> Section:
    """Sections (a), (b) and (g): a character of one stream, and the least time it could take."""
    hand = HandWritten(bench.content, 1, bench.temperature)
    contestants = {engine: sized(bench.takes(bench.model(engine))) for engine in engines}
    contestants["onnxruntime, plain loop"] = sized(hand.plain)
    contestants[f"onnxruntime, {WINDOW} characters re-read"] = sized(hand.classic)
    native = bench.model("native").engine if "native" in engines else None
    if isinstance(native, NativeEngine):
        contestants["weights streamed once"] = sized(native.decoder.stream_weights)
    middle = medians(interleave(contestants, bench.seconds))
    roofline = middle.get("weights streamed once")
    plain = middle["onnxruntime, plain loop"]
    rows = [
        (
            name,
            [
                microseconds(each),
                "" if name.startswith("weights") else per_second(each),
                times(plain / each),
                times(each / roofline) if roofline else "",
            ],
        )
        for name, each in middle.items()
    ]
    columns = ["a character", "characters", "plain loop / it", "it / roofline"]
    return Section("one stream, sampling included", columns, rows, {"seconds": middle})


def latency(bench: Bench, engines: Sequence[str]) -> Section:
    """One character at a time: percentiles, and model and sampler apart."""
    rows, figures = [], dict[str, Any]()
    for engine in engines:
        generation = bench.model(engine).start(temperature=bench.temperature, seed=0)
        generation.take(2000)
        generation.measurements = measured = Measurements(latencies=[])
        kept: list[Any] = measured.latencies if measured.latencies is not None else []
        while sum(len(piece) for piece in kept) * 1e-9 * (np.mean(kept[0]) if kept else 0) < bench.seconds:
            generation.take(2000)
        latencies = np.concatenate(kept)
        points = np.percentile(latencies, PERCENTILES) * 1e-9
        model = measured.model_seconds / measured.characters
        sampler = measured.sampler_seconds / measured.characters
        rows.append((engine, [microseconds(each) for each in (*points, model, sampler)]))
        figures[engine] = {
            "percentiles": dict(zip(map(str, PERCENTILES), points.tolist(), strict=True)),
            "p99.9 / p50": float(points[3] / points[0]),
            "model_seconds": model,
            "sampler_seconds": sampler,
            "histogram": [part.tolist() for part in np.histogram(np.log10(latencies * 1e-9), bins=200)],
        }
    columns = ["p50", "p90", "p99", "p99.9", "max", "model, mean", "sampler, mean"]
    return Section("latency of a character, clock included", columns, rows, figures)


def many_streams(bench: Bench, engines: Sequence[str]) -> Section:
    """Characters a second of many streams side by side, on one thread and on all."""
    counts = {threads: f"{threads} thread{'s' * (threads > 1)}" for threads in sorted({1, bench.threads})}
    rows: dict[str, list[str]] = {}
    figures: dict[str, dict[str, float]] = {}
    for streams in STREAMS:
        seconds = bench.seconds / len(STREAMS) / 2
        middle = {}
        if "native" in engines:
            decodes = {
                f"native, {label}": sized(_decodes(bench, streams, threads))
                for threads, label in counts.items()
            }
            middle = medians(interleave(decodes, seconds))
        # Only now: onnxruntime's threads spin for a while after each step, on cores that others need.
        hands = {
            f"onnxruntime batched, {label}": sized(
                HandWritten(bench.content, threads, bench.temperature).batch(streams)
            )
            for threads, label in counts.items()
        }
        middle |= medians(interleave(hands, seconds))
        for name, each in middle.items():
            rows.setdefault(name, []).append(per_second(each / streams))
            figures.setdefault(name, {})[str(streams)] = streams / each
    columns = [f"{streams} streams" if streams > 1 else "1 stream" for streams in STREAMS]
    return Section("many streams, characters a second of all together", columns, list(rows.items()), figures)


def _decodes(bench: Bench, streams: int, threads: int) -> Callable[[int], object]:
    engine = bench.model("native", threads).engine
    samplers = [Sampler(bench.temperature, 0, i) for i in range(streams)]
    zeros = np.zeros((engine.layers, streams, engine.units), np.float32)
    logits = np.zeros((streams, engine.vocabulary_size), np.float32)
    # In the pieces in which texts are made, which an interrupt can wait for.
    piece = engine.piece(streams)

    def run(length: int) -> None:
        state, scores = State(zeros, zeros), logits
        for start in range(0, length, piece):
            _, scores, state = engine.decode(samplers, scores, state, min(piece, length - start))

    return run


def prompts(bench: Bench, engines: Sequence[str]) -> Section:
    """Reading a prompt, characters a second."""
    contestants = {}
    for name in engines:
        engine = bench.model(name).engine
        tokens = np.resize(np.arange(engine.vocabulary_size), (PROMPT, 1)).astype(np.int64)
        zeros = np.zeros((engine.layers, 1, engine.units), np.float32)

        def read(repeats: int, engine: Any = engine, tokens: Any = tokens, zeros: Any = zeros) -> None:
            for _ in range(repeats):
                engine.step(tokens, State(zeros, zeros))

        contestants[name] = sized(read)
    middle = {
        name: each / PROMPT for name, each in medians(interleave(contestants, bench.seconds / 2)).items()
    }
    rows = [(name, [microseconds(each), per_second(each)]) for name, each in middle.items()]
    return Section(f"reading a prompt of {PROMPT}", ["a character", "characters"], rows, {"seconds": middle})
