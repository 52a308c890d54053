"""A server whose model is one of records, bytes or words."""

import math

import pytest
import textgen_runtime as textgen
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import random_network
from tests.helpers.record_models import record_model
from tests.helpers.served import asynchronous, served


@pytest.mark.parametrize(("level", "stream"), [("character", False), ("byte", True), ("word", True)])
@asynchronous
async def test_records_start_and_end_by_themselves(level: str, stream: bool) -> None:
    model = record_model(level, end_bias=4.0 if level == "byte" else 0.0)
    async with served(model) as server:
        for fields in ({}, {"prompt": ""}, {"prompt": "cab"}):
            answer = await server.complete(seed=4, n=8, max_tokens=300, stream=stream, **fields)
            prompts = [fields.get("prompt", "")] * 8
            assert answer.texts == model.generate(prompts, length=300, seed=4, temperature=1.0)
            parts = answer.events if stream else [answer.json]
            endings = [
                (choice["finish_reason"], choice["ending"])
                for part in parts
                for choice in part["choices"]
                if choice["finish_reason"]
            ]
            assert endings == [("stop", "end")] * 8


@asynchronous
async def test_an_empty_prompt_and_none_count_the_same_tokens() -> None:
    """The only token is the begin of the record, which all texts share."""
    async with served(record_model(end_bias=-50.0)) as server:
        for fields in ({}, {"prompt": ""}):
            answer = await server.complete(max_tokens=5, n=3, **fields)
            assert answer.json["usage"] == {
                "prompt_tokens": 1,
                "completion_tokens": 15,
                "total_tokens": 16,
            }


@asynchronous
async def test_a_record_that_is_cut_short_has_another_reason() -> None:
    async with served(record_model(end_bias=-50.0)) as server:
        answer = await server.complete(max_tokens=5, seed=1, logprobs=0)
    (choice,) = answer.json["choices"]
    assert (choice["finish_reason"], len(choice["text"])) == ("length", 5)
    # No end was drawn, so none is scored.
    assert choice["logprobs"]["tokens"] == [*choice["text"]]


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_the_end_of_a_record_has_a_log_probability(stream: bool) -> None:
    model = record_model()
    async with served(model) as server:
        answer = await server.complete(
            prompt="cab", max_tokens=300, seed=4, logprobs=5, echo=True, stream=stream
        )
    parts = [part["choices"][0]["logprobs"] for part in (answer.events if stream else [answer.json])]
    tokens = [token for part in parts for token in part["tokens"]]
    values = [value for part in parts for value in part["token_logprobs"]]
    offsets = [offset for part in parts for offset in part["text_offset"]]
    (text,) = answer.texts
    assert tokens == [*text, ""]
    assert offsets == list(range(len(text) + 1))
    surprisals = textgen.predict(model, "cab").surprisals[:3]
    assert values[:3] == pytest.approx([-value for value in surprisals], abs=1e-5)
    generation = model.start(text)
    end = {top.text: top.probability for top in generation.top(10)}["<end>"]
    assert values[-1] == pytest.approx(math.log(end), abs=1e-5)


@asynchronous
async def test_the_end_of_a_record_is_scored_after_the_mask_too() -> None:
    """None of the texts without the mask fits, so the ending is not that of a record."""
    fields = {"match": "b{1,2}", "resample": 1, "n": 20, "seed": 1}
    async with served(record_model(end_bias=4.0)) as server:
        answer = await server.complete(prompt="cab", max_tokens=9, logprobs=0, **fields)
    scored = {
        choice["ending"]: choice["logprobs"]["tokens"]
        for choice in answer.json["choices"]
        if choice["logprobs"]["tokens"][-1] == ""
    }
    assert "masked" in scored
    tokens = sum(len(choice["logprobs"]["tokens"]) for choice in answer.json["choices"])
    assert tokens == answer.json["usage"]["completion_tokens"]


@asynchronous
async def test_the_end_of_a_record_is_an_alternative_only_to_drawn_tokens() -> None:
    """The model expects the end at each position, but a prompt cannot have it."""
    metadata = Metadata(
        make_tokenizer("character", [*"abc", "", ""], SpecialTokens(begin=3, end=4)), records="lines"
    )
    network, weights = random_network(5)
    weights[-1]["bias"][4] = 50.0
    model = textgen.load(build_model(network, weights, metadata).SerializeToString())
    async with served(model) as server:
        answer = await server.complete(prompt="cab", max_tokens=1, logprobs=1, echo=True)
    top = answer.json["choices"][0]["logprobs"]["top_logprobs"]
    assert [*map(list, top)] == [["c"], ["a"], ["b"], [""]]


@pytest.mark.parametrize("level", ["byte", "word"])
@asynchronous
async def test_log_probabilities_of_other_levels_are_refused(level: str) -> None:
    async with served(record_model(level)) as server:
        answer = await server.complete(prompt="cab", logprobs=0)
    assert answer.status == 400
    assert answer.json["error"]["param"] == "logprobs"
    assert answer.json["error"]["message"].endswith(f"this is a model of {level}s")
