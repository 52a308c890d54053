"""Answers: texts are those of ``Model.generate``, in the shapes of OpenAI's API, whole and as a stream."""

import asyncio
import json
import math
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.model import Batch

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2
from tests.helpers.record_models import record_model
from tests.helpers.served import CHAT, TEXT, Answer, Served, asynchronous, served

both = pytest.mark.parametrize("path", [TEXT, CHAT])
streamed = pytest.mark.parametrize("stream", [False, True])


def expected_choices(
    model: textgen.Model, prompt: str | None, fields: dict[str, Any]
) -> list[tuple[str, Any]]:
    """The text and the ending of each choice of a request with these fields and seed 7."""
    sampling = {name: value for name, value in fields.items() if name in textgen.PARAMETERS}
    length = fields.get("max_tokens", fields.get("max_completion_tokens", 16))
    texts = []
    for choice in range(fields.get("n", 1)):
        own = model.default_prompt(7 + choice) if prompt is None else prompt
        generation = model.start(own, seed=7, substream=choice, **{"temperature": 1.0, **sampling})
        batch, text = Batch(model), ""
        batch.add(generation, length)
        while batch:
            (chunk,) = batch.advance()
            text += chunk.text
        texts.append((text, chunk.ending))
    return texts


def check_shape(answer: Answer, path: str, choices: list[tuple[str, Any]], prompt_tokens: int) -> None:
    """Check all that a whole response or a stream has besides its texts."""
    is_chat, is_stream = path == CHAT, "event-stream" in answer.headers["content-type"]
    parts = answer.events if is_stream else [answer.json]
    kind = ("chat.completion.chunk" if is_stream else "chat.completion") if is_chat else "text_completion"
    for part in parts:
        assert part["id"] == ("chatcmpl-" if is_chat else "cmpl-") + answer.headers["x-request-id"]
        assert (part["object"], part["model"], part["seed"]) == (kind, "tiny", 7)
        assert part["created"] > 0
    usage = parts[-1]["usage"]
    assert usage["prompt_tokens"] == prompt_tokens
    assert usage["completion_tokens"] == usage["total_tokens"] - prompt_tokens
    if is_stream:
        assert parts.pop()["choices"] == []
        assert all(part["usage"] is None for part in parts)
    for index, (_, ending) in enumerate(choices):
        own = [choice for part in parts for choice in part["choices"] if choice["index"] == index]
        reason = "length" if ending == "length" else "stop"
        ends = [(choice["finish_reason"], choice["ending"]) for choice in own]
        assert ends == [(None, None)] * (len(own) - 1) + [(reason, ending)]
        assert all("logprobs" in choice for choice in own)
        if is_chat and is_stream:
            deltas = [choice["delta"] for choice in own]
            assert (deltas[0], deltas[-1]) == ({"role": "assistant", "content": ""}, {})
            assert all(list(delta) == ["content"] for delta in deltas[1:-1])
        elif is_chat:
            assert own[0]["message"].keys() == {"role", "content", "refusal"}


FIELDS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 0},
    {"max_completion_tokens": 20_000},
    {"n": 3, "max_tokens": 50, "top_p": 0.9, "temperature": 0.5},
    {"max_tokens": 200, "top_k": 9, "logit_bias": {"a": 3, "é": -5.5}, "stop": ["ab", "dad", "€"]},
    {"max_tokens": 200, "stop": "ba", "keep_stop": True, "banned": "e", "frequency_penalty": 0.5},
    {"max_tokens": 40, "n": 4, "match": "[abc]+ (dad|é€)+"},
    {"max_tokens": 30, "n": 4, "match": "(ab|ba)*", "resample": 50},
    {"n": 2, "match": "dadadadada", "resample": 2},
    {"choices": ["dad", "abba"]},
    {"temperature": 0.9, "mirostat_tau": 1.5, "mirostat_eta": 0.3, "presence_penalty": 0.4},
    {"typical_p": 0.8, "min_p": 0.05, "repetition_penalty": 1.3, "penalty_window": 7, "allowed": "abcd"},
]


@both
@streamed
@pytest.mark.parametrize("fields", FIELDS, ids=str)
@asynchronous
async def test_a_text_is_that_of_generate(
    tiny: textgen.Model, path: str, stream: bool, fields: dict[str, Any]
) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    length = {} if path == TEXT or "max_completion_tokens" in fields else {"max_tokens": 16}
    async with served(tiny) as server:
        answer = await server.ask(path, "dad ", seed=7, **{**length, **fields, **options})
    choices = expected_choices(tiny, "dad ", fields)
    assert (answer.status, answer.texts) == (200, [text for text, _ in choices])
    check_shape(answer, path, choices, prompt_tokens=4)


@both
@streamed
@pytest.mark.parametrize("level", ["character", "byte", "word"])
@asynchronous
async def test_records_start_and_end_by_themselves(path: str, stream: bool, level: str) -> None:
    model = record_model(level, end_bias=4.0 if level == "byte" else 0.0)
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    async with served(model) as server:
        for prompt in ("", "cab"):
            answer = await server.ask(path, prompt, seed=7, n=8, max_tokens=300, **options)
            choices = expected_choices(model, prompt, {"n": 8, "max_tokens": 300})
            assert answer.texts == [text for text, _ in choices]
            assert {ending for _, ending in choices} == {"end"}
            # The begin of a record is a token of the prompt.
            check_shape(answer, path, choices, len(model.encode_prompt(prompt, is_start=True)))


@streamed
@asynchronous
async def test_each_prompt_has_its_choices(tiny: textgen.Model, stream: bool) -> None:
    prompts = ["a", "abcde dad had a " * 100, "a"]
    fields: dict[str, Any] = {"n": 2, "max_tokens": 50, "seed": 3, "stream": stream}
    async with served(tiny, max_users=2) as server:
        answer = await server.complete(prompt=prompts, **fields)
        echo = await server.complete(prompt=["DAD ", "b"], echo=True, **fields)
    assert answer.texts == tiny.generate(
        [p for p in prompts for _ in range(2)], length=50, seed=3, temperature=1.0
    )
    given = ["dad ", "dad ", "b", "b"]
    texts = tiny.generate(given, length=50, seed=3, temperature=1.0)
    assert echo.texts == [prompt + text for prompt, text in zip(given, texts, strict=True)]


@both
@asynchronous
async def test_without_a_prompt_the_model_chooses_one_of_its_own(tiny: textgen.Model, path: str) -> None:
    count = 2 * len(tiny.prompts)
    async with served(tiny) as server:
        answer = await server.ask(path, "", seed=7, n=count, max_tokens=9)
        assert (await server.complete(seed=7, max_tokens=9)).texts == answer.texts[:1]
    assert answer.texts == [text for text, _ in expected_choices(tiny, None, {"n": count, "max_tokens": 9})]
    # Each is fed once.
    assert answer.json["usage"]["prompt_tokens"] == sum(map(len, tiny.prompts))


@both
@asynchronous
async def test_a_request_without_a_seed_gets_another_one(tiny: textgen.Model, path: str) -> None:
    async with served(tiny) as server:
        first, second = [await server.ask(path, "a", max_tokens=100) for _ in range(2)]
        again = await server.ask(path, "a", max_tokens=100, seed=first.json["seed"])
    assert first.texts == again.texts != second.texts


@pytest.mark.parametrize(("max_length", "length"), [(100_000, 400), (50, 50)])
@asynchronous
async def test_a_chat_has_the_default_length_of_the_model(
    tiny: textgen.Model, max_length: int, length: int
) -> None:
    async with served(tiny, max_length=max_length) as server:
        answer = await server.ask(CHAT, "dad ", seed=7)
    assert answer.texts == [tiny.generate("dad ", length=length, seed=7, temperature=1.0)]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "ad "}]}],
        [{"role": "system", "content": "Z"}, {"content": "dad ", "refusal": None, "name": "b"}],
        [None, {"content": "dad \N{GRINNING FACE}"}],
    ],
    ids=["parts", "others", "emoji"],
)
@asynchronous
async def test_only_the_text_of_the_last_message_has_an_effect(
    tiny: textgen.Model, messages: list[Any]
) -> None:
    async with served(tiny) as server:
        answer = await server.request(CHAT, json.dumps({"messages": messages, "max_tokens": 30, "seed": 7}))
    assert answer.texts == [tiny.generate("dad ", length=30, seed=7, temperature=1.0)]


NOTHING = "model max_tokens temperature top_p stop echo stream user stream_options logit_bias suffix match x"


@asynchronous
async def test_what_asks_for_nothing_has_no_effect(tiny: textgen.Model) -> None:
    idle = {"best_of": 2, "stop": [], "logit_bias": {}, "top_p": 1, "user": "", "unknown": "error"}
    async with served(tiny) as server:
        null = await server.complete(prompt="a", seed=7, n=2, **dict.fromkeys(NOTHING.split()))
        answer = await server.complete(prompt="a", seed=7, n=2, model="tiny", **idle)
        chat = await server.ask(
            CHAT, "a", tools=[], tool_choice="auto", modalities=["text"], n=2, max_tokens=16, seed=7
        )
    async with served(tiny, ignore_unknown_fields=True) as server:
        more = {"store": True, "stream": True, "stream_options": {"include_obfuscation": False}}
        ignored = await server.complete(prompt="a", seed=7, n=2, **more)
    expected = tiny.generate(["a", "a"], length=16, seed=7, temperature=1.0)
    assert null.texts == answer.texts == chat.texts == ignored.texts == expected


@both
@asynchronous
async def test_what_the_model_does_not_know_is_a_warning(tiny: textgen.Model, path: str) -> None:
    fields: dict[str, Any] = {"seed": 5, "max_tokens": 16, "stop": ["Z", "b"], "unknown": "skip"}
    async with served(tiny) as server:
        answer = await server.ask(path, "aX", **fields)
        stream = await server.ask(path, "aX", stream=True, **fields)
    async with served(textgen.load(FORMAT_2 / "word.onnx")) as server:
        words = await server.ask(path, "ab", stop=["cab", "\n"], max_tokens=3)
    warnings = answer.json["warnings"]
    assert ["'Z'" in warnings[0], "'x'" in warnings[1], len(warnings)] == [True, True, 2]
    assert stream.events[0]["warnings"] == warnings
    assert answer.texts == stream.texts == [tiny.generate("a", length=16, seed=5, temperature=1.0, stop="b")]
    assert ["'cab'" in warning for warning in words.json["warnings"]] == [True]


def logprobs_of(model: textgen.Model, prompt: str, text: str, *, ends: bool) -> list[tuple[str, float]]:
    """The tokens of a text and the model's log-probabilities, from one step of the model for each."""
    generation, pairs = model.start(prompt), []
    for symbol in [*text, *([""] if ends else [])]:
        token = model.tokenizer.special.end if symbol == "" else model.tokenizer.encode(symbol)[0]
        assert token is not None
        pairs.append((symbol, math.log(generation.probabilities()[0][token])))
        if symbol:
            generation.feed(symbol)
    return pairs


@both
@streamed
@pytest.mark.parametrize(
    "fields",
    [{}, {"stop": ["ab", "bca"]}, {"temperature": 0.5, "top_k": 2}, {"match": "[ab]{1,9}", "resample": 3}],
    ids=str,
)
@asynchronous
async def test_log_probabilities_are_those_of_the_model(
    path: str, stream: bool, fields: dict[str, Any]
) -> None:
    model = record_model(end_bias=-1.0)
    fields = {"max_tokens": 60, "seed": 7, "n": 6, "stream": stream, **fields}
    async with served(model) as server:
        answer = await server.ask(path, "cab", logprobs=True if path == CHAT else 0, **fields)
    found: dict[int, list[tuple[str, float]]] = {}
    for choice in [
        choice for part in (answer.events if stream else [answer.json]) for choice in part["choices"]
    ]:
        scores, pairs = choice["logprobs"], found.setdefault(choice["index"], [])
        if scores and path == CHAT:
            assert all(each["bytes"] == [*each["token"].encode()] for each in scores["content"])
            pairs += [(each["token"], each["logprob"]) for each in scores["content"]]
        elif scores:
            assert scores["text_offset"] == [*range(len(pairs), len(pairs) + len(scores["tokens"]))]
            pairs += zip(scores["tokens"], scores["token_logprobs"], strict=True)
    choices = expected_choices(model, "cab", fields)
    assert answer.texts == [text for text, _ in choices]
    for index, (text, ending) in enumerate(choices):
        expected = logprobs_of(model, "cab", text, ends=ending == "end")
        assert [token for token, _ in found[index]][: len(text)] == [*text]
        assert [pair[1] for pair in found[index]][: len(expected)] == pytest.approx(
            [value for _, value in expected], abs=1e-5
        )
        # A record that ends where its constraint does has the end as its last token, too.
        assert len(found[index]) - len(expected) in ((0, 1) if "match" in fields else (0,))


PET = {"type": "object", "properties": {"pet": {"enum": ["cat", "dog"]}}, "required": ["pet"]}
NAMED = {"name": "Pet", "strict": True, "description": "a pet", "schema": PET}


@both
@pytest.mark.parametrize(
    ("fields", "schema"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"type": "object"}),
        ({"response_format": {"type": "json_schema", "json_schema": NAMED}}, PET),
        ({"json_schema": PET}, PET),
        ({"json_schema": json.dumps(PET)}, PET),
    ],
    ids=["text", "json_object", "json_schema", "object", "string"],
)
@asynchronous
async def test_a_response_format_is_a_json_schema(path: str, fields: dict[str, Any], schema: Any) -> None:
    model = textgen.load(make_model([chr(code) for code in range(32, 127)]).SerializeToString())
    constraint: dict[str, Any] = {} if schema is None else {"json_schema": json.dumps(schema)}
    async with served(model) as server:
        answer = await server.ask(path, "a", max_tokens=60, seed=3, **fields)
    assert answer.texts == [model.generate("a", length=60, seed=3, temperature=1.0, **constraint)]


@asynchronous
async def test_max_copy_needs_a_server_with_a_corpus(tiny: textgen.Model) -> None:
    likely = tiny.generate("abc", length=100, temperature=0)
    fields: dict[str, Any] = {"prompt": "abc", "max_tokens": 20, "temperature": 0, "max_copy": 5}
    async with served(tiny.with_novel(likely)) as server:
        answer = await server.complete(**fields)
    assert (answer.texts[0][:5], answer.texts[0][5] == likely[5]) == (likely[:5], False)
    symbols = tiny.tokenizer.symbols
    # Without a corpus, and with one that leaves no token to draw.
    for model in (tiny, tiny.with_novel("".join(a + b for a in symbols for b in symbols))):
        async with served(model) as server:
            assert (await server.complete(**fields | {"max_copy": 1})).error == (400, "max_copy")


@asynchronous
async def test_requests_at_the_same_time_do_not_affect_each_other(tiny: textgen.Model) -> None:
    async with served(tiny, max_users=5) as server:

        async def request(server: Served, seed: int) -> Answer:
            prompt, path = "dad " * seed, (TEXT, CHAT)[seed % 3 == 0]
            return await server.ask(path, prompt, max_tokens=11 * seed, seed=seed, stream=seed % 2 == 0)

        answers = await asyncio.gather(*(request(server, seed) for seed in range(1, 30)))
    for seed, answer in enumerate(answers, 1):
        assert answer.texts == [tiny.generate("dad " * seed, length=11 * seed, seed=seed, temperature=1.0)]
