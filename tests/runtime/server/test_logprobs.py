"""Log-probabilities in responses."""

import math
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import random_network
from tests.helpers.served import asynchronous, served

# More tokens than are scored in one call of the engine.
LENGTH = 600


def nats(model: textgen.Model, prompt: str, text: str) -> list[float]:
    """The log-probability of each character of a text after a prompt, from the scoring room."""
    return [-value for value in textgen.predict(model, prompt + text).surprisals[-len(text) :]]


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_each_token_has_its_log_probability(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny) as server:
        answer = await server.complete(
            prompt="dad ", max_tokens=LENGTH, seed=7, n=2, logprobs=0, top_k=3, stream=stream
        )
    parts = [part for event in (answer.events if stream else [answer.json]) for part in event["choices"]]
    assert answer.texts == tiny.generate(["dad "] * 2, length=LENGTH, seed=7, temperature=1.0, top_k=3)
    for index, text in enumerate(answer.texts):
        logprobs = [part["logprobs"] for part in parts if part["index"] == index]
        tokens = [token for part in logprobs for token in part["tokens"]]
        values = [value for part in logprobs for value in part["token_logprobs"]]
        assert tokens == list(text)
        assert values == pytest.approx(nats(tiny, "dad ", text), abs=1e-5)
        assert [offset for part in logprobs for offset in part["text_offset"]] == list(range(LENGTH))
        tops = [top for part in logprobs for top in part["top_logprobs"]]
        assert tops == [{token: value} for token, value in zip(tokens, values, strict=True)]


@asynchronous
async def test_the_alternatives_are_the_likeliest_tokens(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", max_tokens=50, seed=7, logprobs=3)
    (choice,) = answer.json["choices"]
    generation = tiny.start("dad ")
    for token, top in zip(choice["text"], choice["logprobs"]["top_logprobs"], strict=True):
        logits = np.asarray(generation.logits, np.float64)
        logprobs = logits - np.log(np.exp(logits).sum())
        best = np.argsort(-logprobs, kind="stable")[:3]
        expected = {tiny.tokenizer.symbols[i]: logprobs[i] for i in best}
        expected[token] = logprobs[tiny.tokenizer.symbols.index(token)]
        assert top == pytest.approx(expected, abs=1e-5)
        assert len(top) in (3, 4)
        generation.feed(token)


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_an_echoed_prompt_is_scored_except_for_its_first_token(
    tiny: textgen.Model, stream: bool
) -> None:
    prompt = "dad had a " * 40
    async with served(tiny) as server:
        answer = await server.complete(
            prompt=prompt, max_tokens=5, seed=7, logprobs=1, echo=True, stream=stream
        )
        alone = await server.complete(prompt="DAD", max_tokens=0, logprobs=1, echo=True, stream=stream)
    parts: list[Any] = answer.events if stream else [answer.json]
    values = [value for part in parts for value in part["choices"][0]["logprobs"]["token_logprobs"]]
    text = answer.texts[0]
    assert values[0] is None
    assert values[1:] == pytest.approx(nats(tiny, text[0], text[1:]), abs=1e-5)
    (part,) = alone.events if stream else [alone.json]
    assert part["choices"][0]["logprobs"]["tokens"] == ["d", "a", "d"]
    assert part["choices"][0]["logprobs"]["top_logprobs"][0] is None


@asynchronous
async def test_the_scores_of_a_stopped_text_cover_its_characters(tiny: textgen.Model) -> None:
    stop = tiny.generate("dad ", length=500, seed=7, temperature=1.0)[490:494]
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", max_tokens=500, seed=7, logprobs=0, stop=stop)
    (choice,) = answer.json["choices"]
    assert (choice["finish_reason"], choice["ending"]) == ("stop", "stop")
    assert choice["logprobs"]["tokens"] == list(choice["text"])
    assert all(math.isfinite(value) for value in choice["logprobs"]["token_logprobs"])


@pytest.fixture(scope="module")
def model_with_unknown() -> textgen.Model:
    """A model in which the unknown symbol is always the most likely one."""
    metadata = Metadata(make_tokenizer("character", ["", "a", "b", "c"], SpecialTokens(unknown=0)))
    network, weights = random_network(4)
    weights[-1]["bias"][0] = 50.0
    return textgen.load(build_model(network, weights, metadata).SerializeToString())


@asynchronous
async def test_the_unknown_symbol_has_no_part_in_generated_text(model_with_unknown: textgen.Model) -> None:
    async with served(model_with_unknown) as server:
        answer = await server.complete(prompt="a", max_tokens=20, logprobs=5)
    for top in answer.json["choices"][0]["logprobs"]["top_logprobs"]:
        assert set(top) == {"a", "b", "c"}
        assert sum(math.exp(value) for value in top.values()) == pytest.approx(1)


@asynchronous
async def test_the_unknown_symbol_of_a_prompt_is_scored_and_has_no_text(
    model_with_unknown: textgen.Model,
) -> None:
    async with served(model_with_unknown) as server:
        answer = await server.complete(prompt="aXb", max_tokens=1, logprobs=0, echo=True)
    (choice,) = answer.json["choices"]
    assert choice["text"][:2] == "ab"
    assert choice["logprobs"]["tokens"][:3] == ["a", "", "b"]
    assert choice["logprobs"]["text_offset"] == [0, 1, 1, 2]
    assert choice["logprobs"]["token_logprobs"][1] == pytest.approx(0, abs=1e-6)
