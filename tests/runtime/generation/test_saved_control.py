"""Saved generations keep filters, stop texts and constraints, and damaged ones are refused in one line."""

from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, Sampling, SavedGenerationError
from textgen_runtime.generation.saved_generation import save_with_end

from tests.helpers.paths import TINY
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
    textgen.save(generation, tmp_path / "text.npz")
    resumed = textgen.resume(tiny, tmp_path / "text.npz")
    assert (resumed.prompt, resumed.ending) == ("abc", generation.ending)
    assert resumed.sampling == SAMPLINGS[name]
    assert resumed.sampler.filter_state == generation.sampler.filter_state
    for length in (1, 5, 50):
        assert resumed.take(length) == generation.take(length)
        assert resumed.ending == generation.ending


DAMAGED = "not a saved generation, or is damaged"

POSITION = {"held": [], "stop_state": 0, "constraint_state": 0, "ending": None, "constraint": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": 3},
            "the file has format 3, and this version reads formats 1 and 2: upgrade textgen-onnx",
        ),
        ({"format": "2"}, "has format '2'"),
        (
            {"text": POSITION | {"stop_state": 99}},
            "the position in the stop texts or the constraint is not valid",
        ),
        ({"text": POSITION | {"stop_state": -1}}, "is not valid"),
        ({"text": POSITION | {"stop_state": 1}}, "is not valid"),
        ({"text": POSITION | {"stop_state": True}}, "is not valid"),
        ({"text": POSITION | {"constraint_state": 1}}, "is not valid"),
        ({"text": POSITION | {"ending": "soon"}}, "is not valid"),
        ({"text": POSITION | {"drawn": -1}}, "is not valid"),
        ({"text": POSITION | {"held": [99]}}, "the last tokens are not in the vocabulary"),
        ({"text": POSITION | {"constraint": "0" * 64}}, "another version of textgen-onnx compiled"),
        ({"text": POSITION | {"more": 1}}, DAMAGED),
        ({"text": 7}, DAMAGED),
        ({"end_of_text": 7}, DAMAGED),
        ({"end_of_text": "\ud800"}, DAMAGED),
        ({"filters": {"recent": [99], "mirostat_mu": 0.0}}, "the last tokens are not in the vocabulary"),
        ({"filters": {"recent": "ab", "mirostat_mu": 0.0}}, "the last tokens are not in the vocabulary"),
        ({"filters": {"recent": [0] * 65, "mirostat_mu": 0.0}}, "more recent tokens than the penalty window"),
        ({"filters": {"recent": [], "mirostat_mu": "x"}}, DAMAGED),
        ({"sampling": {"temperature": 0.5, "top_p": 7}}, DAMAGED),
        ({"sampling": {"temperature": 0.5, "match": "(("}}, DAMAGED),
        (
            {"sampling": {"temperature": 0.5, "match": "(a|b)*a(a|b){25}"}},
            DAMAGED,
        ),
    ],
)
def test_a_damaged_position_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path, model = tmp_path / "text.npz", textgen.load(TINY)
    save_with_end(model.start("abc", seed=4, stop="ab", repetition_penalty=1.1), "abc", path)
    rewrite(path, **changes)
    with pytest.raises(SavedGenerationError, match=message) as caught:
        textgen.resume(model, path)
    assert "\n" not in str(caught.value)
