"""Completions: the texts are those of ``Model.generate``, in the shape of OpenAI's API."""

from typing import Any

import pytest
import textgen_runtime as textgen

from tests.helpers.paths import FORMAT_2
from tests.helpers.served import Answer, asynchronous, served

LONG_PROMPT = "abcde dad had a " * 100


@asynchronous
async def test_a_text_is_that_of_generate(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", max_tokens=300, seed=7, temperature=0.5)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json
    assert body.pop("id").startswith("cmpl-")
    assert body.pop("created") > 0
    text = tiny.generate("dad ", length=300, seed=7, temperature=0.5)
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "length", "ending": "length"}
    assert body == {
        "object": "text_completion",
        "model": "tiny",
        "seed": 7,
        "choices": [choice],
        "usage": {"prompt_tokens": 4, "completion_tokens": 300, "total_tokens": 304},
    }


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@asynchronous
async def test_the_length_has_two_names(tiny: textgen.Model, name: str) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", seed=7, **{name: 20})
    assert answer.texts == [tiny.generate("dad ", length=20, seed=7, temperature=1.0)]


@asynchronous
async def test_null_stands_for_the_default(tiny: textgen.Model) -> None:
    openai = "model max_tokens max_completion_tokens temperature top_p n stop logprobs echo stream user"
    others = "stream_options logit_bias best_of suffix match top_k"
    nothing = dict.fromkeys(f"{openai} {others}".split())
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", seed=7, **nothing)
    assert answer.texts == [tiny.generate("dad ", length=16, seed=7, temperature=1.0)]


@asynchronous
async def test_fields_that_some_clients_always_send_have_no_effect(tiny: textgen.Model) -> None:
    idle = {"best_of": 2, "stop": [], "logit_bias": {}, "top_p": 1, "frequency_penalty": 0, "user": ""}
    async with served(tiny) as server:
        answer = await server.complete(prompt="a", seed=7, n=2, **idle)
    assert answer.texts == tiny.generate(["a", "a"], length=16, seed=7, temperature=1.0)


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_the_choices_of_each_prompt_follow_each_other(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny, max_users=2) as server:
        answer = await server.complete(prompt=["a", LONG_PROMPT], n=3, max_tokens=50, seed=3, stream=stream)
    prompts = ["a"] * 3 + [LONG_PROMPT] * 3
    assert answer.texts == tiny.generate(prompts, length=50, seed=3, temperature=1.0)
    assert len(set(answer.texts)) == 6


@pytest.mark.parametrize("fields", [{}, {"prompt": ""}, {"prompt": [""]}], ids=str)
@asynchronous
async def test_without_a_prompt_the_model_chooses_one_of_its_own(
    tiny: textgen.Model, fields: dict[str, Any]
) -> None:
    async with served(tiny) as server:
        answers = [await server.complete(seed=seed, echo=True, **fields) for seed in range(4)]
        several = await server.complete(seed=1, n=3, echo=True, **fields)
        all_twice = await server.complete(n=2 * len(tiny.prompts), max_tokens=1, **fields)
    for seed, answer in enumerate(answers):
        prompt = tiny.prompts[seed % len(tiny.prompts)]
        assert answer.texts == [prompt + tiny.generate(length=16, seed=seed, temperature=1.0)]
    continued = [tiny.start(seed=1, substream=i, temperature=1.0) for i in range(3)]
    assert several.texts == [generation.prompt + generation.take(16) for generation in continued]
    # Each is fed once.
    assert all_twice.json["usage"]["prompt_tokens"] == sum(map(len, tiny.prompts))


@asynchronous
async def test_each_request_without_a_seed_gets_another_one(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        first, second = [await server.complete(prompt="a", max_tokens=100) for _ in range(2)]
        again = await server.complete(prompt="a", max_tokens=100, seed=first.json["seed"])
        assert (await server.complete(prompt="a", seed=2**128 - 1)).status == 200
    assert first.texts != second.texts
    assert first.texts == again.texts


@asynchronous
async def test_a_stream_consists_of_events_that_add_up_to_the_text(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", max_tokens=20_000, seed=7, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.events
    assert len(events) > 1
    text = tiny.generate("dad ", length=20_000, seed=7, temperature=1.0)
    assert "".join(event["choices"][0]["text"] for event in events) == text
    assert [event["choices"][0]["finish_reason"] for event in events] == [None] * (len(events) - 1) + [
        "length"
    ]
    assert len({event["id"] for event in events}) == 1
    assert all(event["object"] == "text_completion" and "usage" not in event for event in events)


@asynchronous
async def test_a_stream_counts_its_tokens_if_asked(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(
            prompt="dad ", max_tokens=9, n=2, stream=True, stream_options={"include_usage": True}
        )
    *events, last = answer.events
    assert [event["usage"] for event in events] == [None] * len(events)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 4, "completion_tokens": 18, "total_tokens": 22}


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_echo_puts_the_normalized_prompt_first(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="DAD ", max_tokens=9, seed=7, n=2, echo=True, stream=stream)
    first, second = answer.texts
    assert first == "dad " + tiny.generate("dad ", length=9, seed=7, temperature=1.0)
    assert second.startswith("dad ")


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_a_text_may_have_no_tokens(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="dad ", max_tokens=0, stream=stream)
    assert answer.texts == [""]


@asynchronous
async def test_unknown_characters_of_the_prompt_can_be_skipped(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="dXad ", max_tokens=30, seed=7, unknown="skip")
    assert answer.texts == [tiny.generate("dad ", length=30, seed=7, temperature=1.0)]


@asynchronous
async def test_sampling_parameters_have_the_effect_that_they_have_in_generate(tiny: textgen.Model) -> None:
    prompts = ["a", "dad "]
    sampling: dict[str, Any] = {
        "temperature": 1.1,
        "top_k": 9,
        "logit_bias": {"a": 3, "é": -5.5},
        "stop": ["ab", "dad", "€"],
        "keep_stop": True,
    }
    async with served(tiny) as server:
        whole = await server.complete(prompt=prompts, max_tokens=200, seed=5, **sampling)
        stream = await server.complete(prompt=prompts, max_tokens=200, seed=5, stream=True, **sampling)
    assert whole.texts == stream.texts == tiny.generate(prompts, length=200, seed=5, **sampling)


@asynchronous
async def test_a_stop_text_that_the_model_cannot_write_is_reported(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="a", seed=5, stop=["Z", "b"])
        stream = await server.complete(prompt="a", seed=5, stop="Z", stream=True)
    message = "the stop text 'Z' has characters outside the vocabulary: it has no effect"
    assert answer.json["warnings"] == [message]
    assert answer.texts == [tiny.generate("a", length=16, seed=5, temperature=1.0, stop="b")]
    assert stream.events[0]["warnings"] == [message]


@asynchronous
async def test_a_stop_text_that_a_model_of_words_may_miss_is_a_warning() -> None:
    async with served(textgen.load(FORMAT_2 / "word.onnx")) as server:
        answer = await server.complete(prompt="ab", stop=["cab", "\n"], max_tokens=3)
        certain = await server.complete(prompt="ab", stop="\n", max_tokens=3)
    (warning,) = answer.json["warnings"]
    assert warning.startswith("the stop text 'cab' may be missed")
    assert "warnings" not in certain.json


@asynchronous
async def test_the_usage_counts_tokens_and_not_characters() -> None:
    async with served(textgen.load(FORMAT_2 / "word.onnx")) as server:
        answer = await server.complete(prompt="cab cab", max_tokens=9, seed=4)
    assert answer.json["usage"] == {"prompt_tokens": 2, "completion_tokens": 9, "total_tokens": 11}
    assert len(answer.texts[0]) > 9


@asynchronous
async def test_requests_at_the_same_time_do_not_affect_each_other(tiny: textgen.Model) -> None:
    import asyncio

    async with served(tiny, max_users=5) as server:

        async def request(seed: int) -> Answer:
            return await server.complete(
                prompt="dad " * seed, max_tokens=11 * seed, seed=seed, stream=seed % 2 == 0
            )

        answers = await asyncio.gather(*(request(seed) for seed in range(1, 30)))
    for seed, answer in enumerate(answers, 1):
        assert answer.texts == [tiny.generate("dad " * seed, length=11 * seed, seed=seed, temperature=1.0)]
