"""A text goes on exactly: in one call or many, of a copy, saved, or beside others."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model, Sampling

from tests.helpers.paths import TINY
from tests.helpers.record_models import record_model

SAMPLINGS = {
    "penalties": Sampling(
        temperature=1.5, repetition_penalty=1.3, frequency_penalty=0.2, presence_penalty=0.1, penalty_window=5
    ),
    "mirostat": Sampling(temperature=1.0, mirostat_tau=2.0),
    "truncations": Sampling(temperature=1.5, top_k=6, typical_p=0.9, top_p=0.95, min_p=0.01),
    "characters": Sampling(temperature=1.5, logit_bias={"a": -1.0}, allowed="abcd \n", banned="d"),
    "stops": Sampling(temperature=2.0, stop=["ab", "d a", "c b\n"], keep_stop=True),
    "expression": Sampling(temperature=1.5, match="([a-d]{2,4} )*b", resample=2),
    "choices": Sampling(temperature=1.5, choices=["abcd", "dad ab", "bbb"]),
    "copies": Sampling(temperature=0.3, max_copy=4),
}
MODELS = [
    *(("tiny", engine) for engine in ("native", "onnxruntime")),
    *((level, "native") for level in ("character", "byte", "word")),
]


def model_of(name: str, engine: str, sampling: Sampling) -> Model:
    loaded = textgen.load(TINY, engine=engine) if name == "tiny" else record_model(name, end_bias=3.0)  # type: ignore[arg-type]
    return loaded.with_novel(loaded.generate("abc", temperature=0.0)) if sampling.max_copy else loaded


def rest(generation: Generation, lengths: Sequence[int]) -> tuple[str, str | None, int]:
    """The text up to its end, why it ended, and how many random numbers it took."""
    text = ""
    for length in lengths:
        text += generation.take(length)
        if generation.ending != "length":
            break
    return text + generation.finish(), generation.ending, generation.drawn


def saved(generation: Generation) -> Generation:
    file = io.BytesIO()
    textgen.save(generation, file)
    file.seek(0)
    resumed = textgen.resume(generation.model, file)
    assert (resumed.prompt, resumed.ending) == (generation.prompt, generation.ending)
    assert resumed.sampling == generation.sampling
    return resumed


# A model of words has no max_copy.
CASES = [
    pytest.param(*model, sampling, id="-".join((*model, name)))
    for name, sampling in SAMPLINGS.items()
    for model in MODELS
    if model[0] != "word" or not sampling.max_copy
]


@pytest.mark.parametrize(("name", "engine", "sampling"), CASES)
def test_a_continuation_is_exact(name: str, engine: str, sampling: Sampling) -> None:
    model, endings = model_of(name, engine, sampling), set()
    for seed in range(12):
        generation = model.start("a", seed=seed, substream=seed % 2, sampling=sampling)
        generation.take(seed)
        if seed % 3 == 1:
            generation.finish()
        if seed % 3 == 2 and sampling.stop:
            generation.sampling = sampling.replace(stop=["a", "b d", "d d"])
        expected = rest(generation.copy(), [40])
        ways = [generation.copy(), saved(generation), generation]
        assert [
            rest(each, lengths) for each, lengths in zip(ways, ([1, 5, 34], [40], [20, 20]), strict=True)
        ] == ([expected] * 3)
        # Beside another text, and after the end: the next record begins in the same place.
        batch, others = Batch(model), [saved(generation), generation.copy()]
        for each in others:
            each.reseed(seed + 1)
            each.feed("b")
            batch.add(each, 30)
        assert len(set(batch.complete())) == 1
        np.testing.assert_array_equal(others[0].logits, others[1].logits)
        endings.add(expected[1])
    assert endings & {"constraint", "stop", "end"} or not (
        sampling.match or sampling.choices or sampling.stop
    )
