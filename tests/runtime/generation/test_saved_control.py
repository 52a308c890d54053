"""Saved generations keep filters, stop texts and constraints, and damaged ones are refused in one line."""

import io
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, Sampling, SavedGenerationError

from tests.helpers.saved_files import rewrite

SAMPLINGS = {
    "penalties": Sampling(
        temperature=1.5, repetition_penalty=1.3, frequency_penalty=0.2, presence_penalty=0.1, penalty_window=5
    ),
    "mirostat": Sampling(temperature=1.0, mirostat_tau=2.0),
    "truncations": Sampling(temperature=1.5, top_k=6, typical_p=0.9, top_p=0.95, min_p=0.01),
    "characters": Sampling(temperature=1.5, logit_bias={"a": -1.0}, allowed="abcd hé", banned="d"),
    "stops": Sampling(temperature=1.5, stop=["ab", "hhh"], keep_stop=True),
    "expression": Sampling(temperature=1.5, match="([a-d]{2,4} )*é", resample=2),
    "choices": Sampling(temperature=1.5, choices=["abcd", "dad had", "hhh"]),
}


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("drawn", [0, 3, 60])
def test_a_saved_generation_goes_on_exactly(tiny: Model, tmp_path: Path, name: str, drawn: int) -> None:
    generation = tiny.start("abc", seed=4, substream=2, sampling=SAMPLINGS[name])
    generation.take(drawn)
    textgen.save(generation, tmp_path / "text.gen")
    resumed = textgen.resume(tiny, tmp_path / "text.gen")
    assert (resumed.prompt, resumed.ending) == ("abc", generation.ending)
    assert resumed.sampling == SAMPLINGS[name]
    for length in (1, 5, 50):
        assert resumed.take(length) == generation.take(length)
        assert resumed.ending == generation.ending


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": 7}, "the description is damaged"),
        ({"prompt": "\ud800"}, "the description is damaged"),
        ({"end_of_text": 7}, "the description is damaged"),
        ({"sampling": 0.5}, "the description is damaged"),
        ({"sampling": {"temperature": 0.5, "spin": 3}}, r"parameters \['spin'\]: upgrade textgen-onnx"),
        (
            {"sampling": {"temperature": 0.5, "top_p": 7}},
            "the sampling parameters cannot be used: top_p must be",
        ),
        (
            {"sampling": {"temperature": 0.5, "top_p": "x"}},
            "the sampling parameters cannot be used: top_p must be",
        ),
        ({"sampling": {"temperature": 0.5, "match": "(("}}, "the sampling parameters cannot be used: "),
        ({"sampling": {"match": "a+"}}, "another version of textgen-onnx compiled the constraint"),
    ],
)
def test_a_damaged_description_is_refused(
    tiny: Model, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "text.gen"
    rewrite(tiny.start("abc", seed=4, stop="ab", repetition_penalty=1.1), path, **changes)
    with pytest.raises(SavedGenerationError, match=message) as caught:
        textgen.resume(tiny, path)
    assert "\n" not in str(caught.value)


def test_every_damaged_byte_is_refused_or_gives_a_text(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.gen"
    generation = tiny.start("abc", seed=4, stop="abc", repetition_penalty=1.1)
    generation.take(20)
    textgen.save(generation, path)
    content = path.read_bytes()
    refused = 0
    for i in range(0, len(content), 3):
        damaged = content[:i] + bytes([content[i] ^ 0x80]) + content[i + 1 :]
        try:
            textgen.resume(tiny, io.BytesIO(damaged)).take(5)
        except (SavedGenerationError, textgen.SamplingError):
            refused += 1
    assert 0 < refused < len(content) / 3
    for size in range(0, len(content), 7):
        with pytest.raises(SavedGenerationError):
            textgen.resume(tiny, io.BytesIO(content[:size]))


def test_the_description_states_the_parameters(tiny: Model, tmp_path: Path) -> None:
    generation = tiny.start("abc", seed=4, temperature=2.0, top_k=3, logit_bias={"a": 5.0})
    rewrite(generation, tmp_path / "text.gen", sampling={"temperature": 0.0})
    resumed = textgen.resume(tiny, tmp_path / "text.gen")
    assert resumed.sampling == Sampling(temperature=0.0)
    assert resumed.take(50) == tiny.start("abc", temperature=0.0).take(50)


def test_a_text_that_c_saved_shows_its_parameters(tiny: Model) -> None:
    model = bytes.fromhex(tiny.sha256)
    generation = tiny.start("abc", seed=4, temperature=2.0, top_k=3, penalty_window=7)
    resumed = textgen.resume(tiny, io.BytesIO(generation.position.save(model, b"")))
    assert resumed.sampling == generation.sampling
    resumed.sampling = resumed.sampling.replace()
    assert resumed.take(50) == generation.take(50)
    generation.sampling = generation.sampling.replace(banned="a")
    with pytest.raises(SavedGenerationError, match="has a logit bias by tokens: continue it in C"):
        textgen.resume(tiny, io.BytesIO(generation.position.save(model, b"")))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
def test_what_could_not_be_resumed_is_not_saved(tiny: Model, wrong: float) -> None:
    generation = tiny.start("abc")
    generation.logits = [wrong] * len(tiny.tokenizer)
    with pytest.raises(SavedGenerationError, match="cannot be saved: its state or its logits"):
        textgen.save(generation, io.BytesIO())
