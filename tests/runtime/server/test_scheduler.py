"""The scheduler: errors of single texts, and the length of chunks."""

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
from textgen_runtime.server.completion_request import parse_request
from textgen_runtime.server.preparation import prepare
from textgen_runtime.server.requests import Settings
from textgen_runtime.server.text import Prompt, Text, Update
from textgen_runtime.server.text_completions import take_text_request
from textgen_runtime.server.worker import FIRST_STEPS, MAX_GROWTH, Pace, Worker

from tests.helpers.served import ENDLESS, PATIENCE, OpenCall, asynchronous, served, until


def break_texts(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Let the texts of this length have logits that cannot be sampled."""
    start = Text.start

    def start_broken(text: Text) -> None:
        start(text)
        if text.remaining == length:
            text.generation.logits = text.generation.logits * float("nan")

    monkeypatch.setattr(Text, "start", start_broken)


@pytest.mark.parametrize("control", [{}, {"match": "[^q]+", "resample": 2}], ids=["plain", "resampled"])
@asynchronous
async def test_a_text_that_fails_does_not_stop_the_others(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, control: dict[str, Any]
) -> None:
    break_texts(monkeypatch, 77)
    together = threading.Event()
    async with served(tiny) as server:
        # The worker waits, so that the texts are lanes at the same time.
        server.scheduler.worker.order(together.wait, PATIENCE)
        requests = [{"prompt": "dad ", "max_tokens": n, "seed": 2, **control} for n in (500, 77, 600)]
        tasks = [asyncio.create_task(server.complete(**fields)) for fields in requests]
        await until(lambda: server.scheduler.texts == 3)
        together.set()
        answers = await asyncio.gather(*tasks)
    assert [answer.status for answer in answers] == [200, 500, 200]
    assert answers[0].texts == [tiny.generate("dad ", length=500, seed=2, temperature=1.0, **control)]
    assert answers[2].texts == [tiny.generate("dad ", length=600, seed=2, temperature=1.0, **control)]
    error = answers[1].json["error"]
    assert error["type"] == "server_error"
    assert "NaN" in error["message"]


@asynchronous
async def test_a_parameter_that_leaves_no_token_is_the_error_of_the_client(tiny: textgen.Model) -> None:
    symbols = tiny.tokenizer.symbols
    everything = tiny.with_novel("".join(a + b for a in symbols for b in symbols))
    async with served(everything) as server:
        answer = await server.complete(prompt="dad ", max_tokens=5, max_copy=1)
    assert answer.status == 400
    error = answer.json["error"]
    assert (error["param"], error["message"]) == (
        "max_copy",
        "max_copy leaves no token to draw: use a greater value",
    )


@asynchronous
async def test_a_text_that_fails_ends_its_whole_request(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Prompt.feed

    def feed_or_fail(prompt: Prompt) -> bool:
        if prompt.text == "b":
            raise textgen.ModelFileError("the graph is broken")
        return feed(prompt)

    monkeypatch.setattr(Prompt, "feed", feed_or_fail)
    async with served(tiny, max_length=ENDLESS) as server:
        answer = await server.complete(prompt=["a", "b"], max_tokens=ENDLESS)
        stream = await server.complete(prompt=["a", "b"], max_tokens=ENDLESS, stream=True)
    assert (answer.status, answer.json["error"]["message"]) == (500, "the graph is broken")
    assert "the graph is broken" in stream.body.decode()


@asynchronous
async def test_a_defect_ends_the_texts_and_not_the_server(
    tiny_path: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = textgen.load(str(tiny_path))

    def fail(*_: Any) -> list[Generated]:
        raise RuntimeError("a defect")

    async with served(model) as server:
        with monkeypatch.context() as patch:
            patch.setattr(NativeEngine, "generate", fail)
            answer = await server.complete(prompt="a")
        assert (await server.complete(prompt="a")).status == 200
    assert (answer.status, answer.json["error"]["message"]) == (500, "the server failed: see its log")
    assert "a defect" in caplog.text


@asynchronous
async def test_all_texts_are_lanes_of_one_batch(tiny_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    model = textgen.load(str(tiny_path))
    lanes: list[int] = []
    generate = NativeEngine.generate

    def count(engine: NativeEngine, given: Sequence[Lane], *arguments: Any) -> list[Generated]:
        lanes.append(len(given))
        return generate(engine, given, *arguments)

    monkeypatch.setattr(NativeEngine, "generate", count)
    body = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "stream": True}).encode()
    async with served(model, max_users=4, max_length=ENDLESS) as server:
        calls = [OpenCall(server.app, body) for _ in range(6)]
        for call in calls[:4]:
            await call.beginning()
        for call in calls:
            call.leave()
    assert max(lanes) == 4


@pytest.mark.parametrize("control", [{}, {"match": "[^d]+", "resample": 2}], ids=["plain", "resampled"])
def test_a_text_that_is_paused_after_each_chunk_is_that_of_generate(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, control: dict[str, Any]
) -> None:
    # A chunk has one token, so that texts without the mask take several chunks, too.
    monkeypatch.setattr(worker_module, "FIRST_STEPS", 1)
    monkeypatch.setattr(worker_module, "MAX_GROWTH", 1)
    fields = {"prompt": ["a", "b", "c"], "max_tokens": 30, "seed": 4, **control}
    request = parse_request(json.dumps(fields).encode(), Settings("tiny"), take_text_request)
    texts = prepare(tiny, request, lambda _: None)[0]
    chunks: dict[Text, list[str]] = {text: [] for text in texts}
    running = set(texts)

    def pause(updates: Sequence[Update]) -> None:
        for update in updates:
            chunks[update.text].append(update.chunk)
            if update.last:
                running.remove(update.text)
            worker.order(worker.pause, update.text)
            worker.order(worker.resume, update.text)
        if not running:
            worker.order(worker.stop, RuntimeError())

    worker = Worker(tiny, 3, pause)
    worker.add(texts)
    worker.run()
    expected = tiny.generate(["a", "b", "c"], length=30, seed=4, temperature=1.0, **control)
    assert ["".join(parts) for parts in chunks.values()] == expected


class FakeEngine:
    """A machine on which each token of each lane takes the same time."""

    def __init__(self, cost: float) -> None:
        self.cost = cost

    def run(self, pace: Pace, lanes: int, seconds: float, chunks: int = 30) -> float:
        """Generate chunks; return how long the last one took."""
        for _ in range(chunks):
            tokens = lanes * pace.steps(lanes, seconds)
            pace.record(tokens, self.cost * tokens)
        return self.cost * tokens


@pytest.mark.parametrize("lanes", [1, 7, 200])
@pytest.mark.parametrize("cost", [1e-6, 1e-4])
def test_chunks_take_the_given_time(lanes: int, cost: float) -> None:
    taken = FakeEngine(cost).run(Pace(), lanes, 0.02)
    assert taken <= 0.02 or taken == lanes * cost
    assert taken > 0.02 - lanes * cost * 1.5


def test_a_chunk_has_at_least_one_token() -> None:
    pace = Pace()
    assert FakeEngine(1.0).run(pace, 200, 0.02) == 200
    assert pace.steps(200, -1.0) == 1


def test_the_first_chunks_are_short_and_grow_gradually() -> None:
    pace = Pace()
    assert pace.steps(1, 1.0) == FIRST_STEPS
    pace.record(FIRST_STEPS, 1e-9)
    assert pace.steps(1, 1.0) == MAX_GROWTH * FIRST_STEPS
    assert pace.steps(1, 1.0) == MAX_GROWTH**2 * FIRST_STEPS


def test_the_pace_counts_the_tokens_of_rejected_texts(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise chunks of one token would follow."""
    recorded: list[int] = []
    monkeypatch.setattr(Pace, "record", lambda _self, tokens, _seconds: recorded.append(tokens))
    fields = {"prompt": "a", "max_tokens": 9, "seed": 4, "match": "h{9}", "resample": 20}
    request = parse_request(json.dumps(fields).encode(), Settings("tiny"), take_text_request)
    texts = prepare(tiny, request, lambda _: None)[0]

    def stop(updates: Sequence[Update]) -> None:
        if updates[-1].last:
            worker.order(worker.stop, RuntimeError())

    worker = Worker(tiny, 1, stop)
    worker.add(texts)
    worker.run()
    assert len(recorded) > 20
    assert sum(count > 0 for count in recorded) > 10


def test_a_chunk_without_tokens_does_not_change_the_pace() -> None:
    pace = Pace()
    FakeEngine(1e-6).run(pace, 10, 0.02)
    before = pace.steps(10, 0.02)
    pace.record(0, 5.0)
    assert pace.steps(10, 0.02) == before
