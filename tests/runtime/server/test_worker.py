"""The worker: fairness between texts, the queue, clients that leave or read slowly, and texts that fail."""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.engine import Lane, NativeEngine
from textgen_runtime.results import Generated
from textgen_runtime.server import worker as worker_module
from textgen_runtime.server.requests import Settings, parse_request
from textgen_runtime.server.worker import (
    CYCLE_SECONDS,
    FIRST_STEPS,
    MAX_GROWTH,
    MAX_PROMPT_SHARE,
    Pace,
    Prompt,
    ServedText,
    Worker,
    is_quick,
)

from tests.helpers.served import ENDLESS, PATIENCE, OpenCall, Served, asynchronous, served, until


def call(server: Served, **fields: Any) -> OpenCall:
    """Send a request, whose response the test reads itself. By default its text does not end."""
    return OpenCall(server.app, json.dumps({"prompt": "a", "max_tokens": ENDLESS, **fields}).encode())


@asynchronous
async def test_all_texts_are_lanes_of_one_batch_and_others_wait(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes: list[int] = []
    generate = NativeEngine.generate

    def count(engine: NativeEngine, given: Sequence[Lane], *arguments: Any) -> list[Generated]:
        lanes.append(len(given))
        return generate(engine, given, *arguments)

    monkeypatch.setattr(NativeEngine, "generate", count)
    async with served(tiny, max_users=2, max_queue=2, max_length=ENDLESS) as server:
        calls = [call(server, stream=True)]
        await calls[0].beginning()
        calls += [call(server, stream=True) for _ in range(2)]
        await calls[1].beginning()
        await until(lambda: server.worker.waiting == 1)
        measured = (await server.request("/metrics")).body
        assert b"\ntextgen_texts_running 2\ntextgen_texts_waiting 1\n" in measured
        calls.append(call(server, stream=True))
        await until(lambda: server.worker.waiting == 2)
        health = (await server.request("/health")).json
        assert health == {"status": "ok", "users": 2, "waiting": 2}
        full = await server.complete(prompt="a")
        assert (full.error, full.json["error"]["code"]) == ((429, None), "queue_full")
        assert full.json["error"]["type"] == "rate_limit_error"
        assert int(full.headers["retry-after"]) > 0
        for i, each in enumerate(calls):
            each.leave()
            await each.task
            if i + 2 < len(calls):
                await calls[i + 2].beginning()
        assert (await server.complete(prompt="a", n=4)).status == 200
    assert max(lanes) == 2


@asynchronous
async def test_the_prompts_of_all_requests_have_a_limit(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_CHARACTERS", 10)
    async with served(tiny, max_users=1, max_length=ENDLESS) as server:
        running = call(server, stream=True)
        await running.beginning()
        assert (await server.complete(prompt="a" * 10)).status == 429
        running.leave()
        await running.task
        assert (await server.complete(prompt="a" * 10)).status == 200
        assert (await server.complete(prompt=["a" * 5, "b" * 6])).error == (400, "prompt")


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_a_client_that_leaves_frees_its_places(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny, max_users=3, max_length=ENDLESS, max_body=10**6) as server:
        gone = [call(server, stream=stream, n=2), call(server, prompt="abcd" * 100_000), call(server, n=4)]
        await until(lambda: (server.worker.users, server.worker.waiting) == (3, 4))
        for each in reversed(gone):
            each.leave()
        await until(lambda: (server.worker.users, server.worker.waiting) == (0, 0))
        await asyncio.gather(*[each.task for each in gone])
        early = OpenCall(server.app, b'{"prompt": ', complete=False)
        early.leave()
        await early.task
        assert early.messages.empty()


@asynchronous
async def test_a_client_that_does_not_read_is_cut(tiny: textgen.Model) -> None:
    async with served(tiny, max_length=ENDLESS, client_timeout=0.2) as server:
        slow = call(server, stream=True)
        await slow.beginning()
        slow.read(on=False)
        await slow.task
        assert server.aborted == [slow.scope]


@asynchronous
async def test_a_slow_client_gets_what_ended_while_it_did_not_read(tiny: textgen.Model) -> None:
    async with served(tiny, max_length=10**5) as server:
        slow = call(server, stream=True, max_tokens=50_000, seed=3, n=2)
        slow.read(on=False)
        await until(lambda: server.worker.texts and server.worker.generated_tokens == 100_000)
        slow.read(on=True)
        assert (await slow.answer()).texts == tiny.generate(["a"] * 2, length=50_000, seed=3, temperature=1.0)


@pytest.mark.parametrize(("lanes", "prompts", "share"), [(3, 1, 1 / 4), (1, 9, MAX_PROMPT_SHARE)])
@asynchronous
async def test_a_long_prompt_gets_the_time_of_a_lane(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, lanes: int, prompts: int, share: float
) -> None:
    feed, clock, fed = Prompt.feed, 0.0, list[int]()

    def feed_by_the_clock(prompt: Prompt) -> bool:
        """Feed a piece, which takes a part of a cycle. Only a short prompt is ever complete."""
        nonlocal clock
        clock += CYCLE_SECONDS / 64
        fed[-1:] = [fed[-1] + 1] if fed else []
        return len(prompt.tokens) == 1 and feed(prompt)

    monkeypatch.setattr(Prompt, "feed", feed_by_the_clock)
    monkeypatch.setattr(worker_module, "thread_time", lambda: clock)
    monkeypatch.setattr(Worker, "_advance", lambda _worker, _seconds: fed.append(0))
    async with served(tiny, max_length=ENDLESS, max_body=10**6) as server:
        calls = [call(server) for _ in range(lanes)]
        calls += [call(server, prompt="abcd" * 1000) for _ in range(prompts)]
        await until(lambda: server.worker.users == lanes + prompts)
        start = len(fed)
        await until(lambda: len(fed) > start + 5)
        for each in calls:
            each.leave()
        await asyncio.gather(*[each.task for each in calls])
    assert abs(fed[start + 4] - 64 * share) <= 2


@pytest.mark.parametrize(
    ("fields", "quick"),
    [
        *((({}, True)), ({"match": "a"}, False), ({"max_copy": 3}, False), ({"n": 17}, False)),
        *(({"stop": "a" * 2000, "n": 9}, True), ({"stop": "a" * 2000, "n": 11}, False)),
    ],
)
def test_only_quick_requests_are_prepared_by_the_event_loop(fields: dict[str, Any], quick: bool) -> None:
    body = json.dumps({"prompt": "a", **fields}).encode()
    assert is_quick(parse_request(body, Settings("tiny"), 400, is_chat=False)) == quick


@asynchronous
async def test_expensive_expressions_do_not_stop_running_texts(tiny: textgen.Model) -> None:
    async with served(tiny, max_length=ENDLESS) as server:
        running = call(server, stream=True)
        await running.beginning()
        exploding = [
            asyncio.create_task(server.complete(prompt="a", match=f"(a|b)*a(a|b){{{size}}}c"))
            for size in (30, 31, 32)
        ]
        events = 0
        while not all(task.done() for task in exploding):
            await running.messages.get()
            events += 1
        assert [(await task).error for task in exploding] == [(400, "match")] * 3
        assert events > 1
        running.leave()


@pytest.mark.parametrize("control", [{}, {"match": "[^q]+", "resample": 2}], ids=["plain", "resampled"])
@asynchronous
async def test_a_text_that_fails_does_not_stop_the_others(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, control: dict[str, Any]
) -> None:
    start, together = ServedText.start, threading.Event()

    def start_broken(text: ServedText) -> None:
        start(text)
        if text.remaining == 77:
            text.generation.logits = text.generation.logits * float("nan")

    monkeypatch.setattr(ServedText, "start", start_broken)
    async with served(tiny) as server:
        # The worker waits, so that the texts are lanes at the same time.
        server.worker.order(together.wait, PATIENCE)
        requests = [{"prompt": "dad ", "max_tokens": n, "seed": 2, **control} for n in (500, 77, 600)]
        tasks = [asyncio.create_task(server.complete(**fields)) for fields in requests]
        await until(lambda: server.worker.texts == 3)
        together.set()
        answers = await asyncio.gather(*tasks)
    assert answers[1].error == (500, None)
    for answer, length in ((answers[0], 500), (answers[2], 600)):
        assert answer.texts == [tiny.generate("dad ", length=length, seed=2, temperature=1.0, **control)]


@pytest.mark.parametrize("error", [textgen.ModelFileError("the graph is broken"), RuntimeError("a defect")])
@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_a_text_that_fails_ends_its_whole_request_and_not_the_server(
    tiny: textgen.Model,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    stream: bool,
) -> None:
    feed = Prompt.feed

    def feed_or_fail(prompt: Prompt) -> bool:
        if prompt.text == "b":
            raise error
        return feed(prompt)

    monkeypatch.setattr(Prompt, "feed", feed_or_fail)
    async with served(tiny, max_length=ENDLESS) as server:
        failed = await server.complete(prompt=["a", "b"], max_tokens=ENDLESS, stream=stream)
        assert (await server.complete(prompt="a")).status == 200
    # The client sees an error of the model. A defect is in the log alone, with its place.
    is_defect = not isinstance(error, textgen.TextgenError)
    assert (b"the graph is broken" in failed.body, b"a defect" in failed.body) == (not is_defect, False)
    (record,) = caplog.records
    assert (record.levelname, bool(record.exc_info)) == ("ERROR", is_defect)
    assert stream or failed.error == (500, None)


@asynchronous
async def test_a_defect_of_the_batch_ends_its_texts_and_not_the_server(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> list[Generated]:
        raise RuntimeError("a defect")

    async with served(tiny, max_users=1) as server:
        with monkeypatch.context() as patch:
            patch.setattr(NativeEngine, "generate", fail)
            assert (await server.complete(prompt="a", n=3)).error == (500, None)
        assert (await server.complete(prompt="a")).status == 200
    assert "a defect" in caplog.text


@asynchronous
async def test_a_draining_server_finishes_texts_and_refuses_new_ones(tiny: textgen.Model) -> None:
    go_on = threading.Event()
    async with served(tiny) as server:
        # The worker waits, so that the text does not end before the new one is refused.
        server.worker.order(go_on.wait, PATIENCE)
        running = call(server, max_tokens=20_000, seed=1, stream=True)
        await until(lambda: server.worker.texts)
        server.worker.draining = True
        refused = await server.complete(prompt="a")
        health = await server.request("/health")
        go_on.set()
        await server.worker.idle()
        answer = await running.answer()
    assert (refused.error, "retry-after" in refused.headers) == ((503, None), True)
    assert (health.status, health.json["status"]) == (503, "stopping")
    assert answer.texts == [tiny.generate("a", length=20_000, seed=1, temperature=1.0)]


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_texts_that_are_still_running_at_the_end_fail(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny, max_users=1, max_length=ENDLESS) as server:
        running = call(server, stream=stream)
        await until(lambda: server.worker.users)
        if stream:
            await running.beginning()
        waiting = call(server, stream=stream)
        await until(lambda: server.worker.waiting)
        server.worker.stop()
        assert (await waiting.answer()).error == (503, None)
        await running.task
        last = [running.messages.get_nowait() for _ in range(running.messages.qsize())][-1]["body"]
        last = json.loads(last.decode().removesuffix("\n\n").split("\n\n")[-1].removeprefix("data: "))
        assert last["error"]["type"] == "server_error"
        assert (await server.complete(prompt="a")).status == 503


@pytest.mark.parametrize("lanes", [1, 7, 200])
@pytest.mark.parametrize("cost", [0.0, 1e-6, 1e-4, 1.0])
def test_chunks_take_the_given_time(lanes: int, cost: float) -> None:
    """On a machine on which each token of each lane takes the same time, maybe too little to measure."""
    pace = Pace()
    for i in range(30):
        steps = pace.steps(lanes, 0.02)
        # The first chunks are short and grow gradually.
        assert steps <= FIRST_STEPS * MAX_GROWTH**i
        pace.record(lanes * steps, cost * lanes * steps)
        # A chunk without tokens says nothing.
        pace.record(0, 5.0)
    if cost:
        assert steps in (max(1, int(0.02 / (cost * lanes)) - i) for i in (0, 1))
        assert pace.steps(lanes, -1.0) == 1


@asynchronous
async def test_the_pace_counts_the_tokens_of_rejected_texts(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise chunks of one token would follow."""
    recorded: list[int] = []
    monkeypatch.setattr(Pace, "record", lambda _self, tokens, _seconds: recorded.append(tokens))
    async with served(tiny) as server:
        await server.complete(prompt="a", max_tokens=9, seed=4, match="h{9}", resample=20)
    assert sum(count > 0 for count in recorded) > 10
