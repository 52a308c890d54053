"""Who may use the server, ids, bodies, paths and measurements."""

import asyncio
import io
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.server import app as app_module
from textgen_runtime.server.app import REQUESTS_PER_TURN, LogFormatter
from textgen_runtime.server.requests import parse_request

from tests.helpers.served import CHAT, TEXT, OpenCall, Served, asynchronous, served

PAGE = "https://example.org"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
}


@asynchronous
async def test_a_server_with_keys_answers_only_requests_with_one(tiny: textgen.Model) -> None:
    async with served(tiny, keys=["first", "second"]) as server:
        for header in (None, "Bearer", "Bearer wrong", "first", "Bearer \xe9", "Basic first"):
            headers: dict[str, str] = {} if header is None else {"Authorization": header}
            for path, body in (
                (TEXT, b'{"prompt": "a"}'),
                ("/v1/models", None),
                ("/other", None),
                ("/metrics", None),
            ):
                answer = await server.request(path, body, headers)
                assert (answer.error, answer.headers["www-authenticate"]) == ((401, None), "Bearer")
                assert answer.json["error"]["code"] == "invalid_api_key"
                assert "first" not in answer.json["error"]["message"]
        for key in ("Bearer first", "bearer second", "Bearer  first"):
            headers = {"Authorization": key}
            assert (await server.complete(headers, prompt="a")).status == 200
            assert (await server.request("/metrics", headers=headers)).status == 200
        assert (await server.request("/health")).status == 200


@pytest.mark.parametrize(
    ("origins", "statuses"),
    [
        ((), [403, 403, 403, 403]),
        (("https://example.com",), [403, 403, 403, 400]),
        (("https://example.com", PAGE), [200, 401, 400, 200]),
        (("*",), [200, 401, 400, 200]),
    ],
)
@asynchronous
async def test_only_web_pages_of_allowed_origins_are_answered(
    tiny: textgen.Model, origins: tuple[str, ...], statuses: list[int]
) -> None:
    key = {"Authorization": "Bearer secret"}
    headers = {"Origin": PAGE, **key}
    async with served(tiny, origins=origins, keys=["secret"]) as server:
        answers = [
            await server.complete(headers, prompt="a", stream=True),
            await server.complete({"Origin": PAGE}, prompt="a"),
            await server.complete(headers, prompt="a", n=0),
            await server.request(TEXT, headers=PREFLIGHT, method="OPTIONS"),
        ]
        # Programs send no origin.
        assert (await server.complete(key, prompt="a")).status == 200
    assert [answer.status for answer in answers] == statuses
    # An allowed page can read errors, too, and the id.
    for answer in answers:
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed in ((None,) if 403 in statuses else (PAGE, "*"))
    if 403 in statuses:
        assert answers[0].json["error"]["code"] == "origin_not_allowed"
    else:
        assert answers[0].headers["access-control-expose-headers"] == "X-Request-ID"
        assert "x-stainless-lang" in answers[-1].headers["access-control-allow-headers"]


@asynchronous
async def test_every_response_has_an_id_of_its_own(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Authorization": "Bearer key"}
    async with served(tiny, keys=["key"]) as server:
        answers = [
            await server.complete(key, prompt="a"),
            await server.complete(key, promt="a"),
            await server.complete(prompt="a"),
            await server.request("/other", headers=key),
            await server.request("/health"),
        ]
        monkeypatch.setattr(app_module, "parse_request", None)
        answers.append(await server.complete(key, prompt="a"))
        assert answers[-1].error == (500, None)
        assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
        chosen = ("3f2a-9.b:c/d@e=f+g_h", "a" * 128, "a" * 129, "a b", "")
        kept = [await server.request("/health", headers={"X-Request-ID": name}) for name in chosen]
    ids = [answer.headers["x-request-id"] for answer in kept]
    assert (ids[:2], len({*chosen, *ids})) == ([*chosen[:2]], 8)


@asynchronous
async def test_a_line_of_the_log_has_the_id_of_its_request(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LogFormatter("server: %(message)s"))
    logger = logging.getLogger("textgen_runtime.server")
    logger.addHandler(handler)
    try:
        async with served(tiny) as server:
            logger.warning("no request")
            # The texts fail in the thread of the worker.
            monkeypatch.setattr("textgen_runtime.server.worker.ServedText.start", fail)
            assert (await server.complete({"X-Request-ID": "first"}, prompt="a")).error == (500, None)
    finally:
        logger.removeHandler(handler)
    first, second = written.getvalue().splitlines()[:2]
    assert first == "server: no request"
    assert second.endswith(" (request first)")


@asynchronous
async def test_a_body_that_is_too_large_is_refused(tiny: textgen.Model) -> None:
    body = json.dumps({"prompt": "a" * 1000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10):
            yield body[start : start + 10]

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1000

    async with served(tiny, max_body=len(body) - 1) as server:
        for given in (body, pieces(), endless()):
            answer = await server.request(TEXT, given)
            assert (answer.error, answer.json["error"]["code"]) == ((413, None), "body_too_large")
            assert answer.headers["connection"] == "close"
    async with served(tiny, max_body=len(body)) as server:
        assert (await server.request(TEXT, pieces())).status == 200


@asynchronous
async def test_a_body_that_does_not_arrive_is_given_up(tiny: textgen.Model) -> None:
    async with served(tiny, client_timeout=0.001) as server:
        answer = await OpenCall(server.app, b'{"prompt": ', complete=False).answer()
    assert (answer.error, answer.headers["connection"]) == ((408, None), "close")


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_a_large_response_is_sent_in_pieces(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setattr(app_module, "PIECE_BYTES", 1000)
    fields = {"prompt": "abcd" * 500, "echo": True, "n": 6, "max_tokens": 5, "seed": 4, "stream": stream}
    async with served(tiny) as server:
        large = OpenCall(server.app, json.dumps(fields).encode())
        answer = await large.answer()
    # A piece has less than 1000 bytes and then one text.
    assert len(large.sizes) > 6
    assert max(large.sizes) < 3500
    expected = tiny.generate(["abcd" * 500] * 6, length=5, seed=4, temperature=1.0)
    assert answer.texts == ["abcd" * 500 + text for text in expected]


@asynchronous
async def test_many_requests_at_once_leave_turns_for_events(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, parsed = 0, Counter[int]()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def parse_and_count(*arguments: Any, **options: Any) -> Any:
        parsed[turn] += 1
        return parse_request(*arguments, **options)

    monkeypatch.setattr(app_module, "parse_request", parse_and_count)
    async with served(tiny) as server:
        counter = asyncio.create_task(count_turns())
        answers = await asyncio.gather(*(server.complete(prompt="a") for _ in range(100)))
        counter.cancel()
    assert {answer.status for answer in answers} == {200}
    assert parsed.total() == 100
    assert max(parsed.values()) <= REQUESTS_PER_TURN


@asynchronous
async def test_the_model_is_listed_and_other_paths_do_not_exist(tiny: textgen.Model) -> None:
    async with served(tiny, model_name="a/b") as server:
        listed, described = await server.request("/v1/models"), await server.request("/v1/models/a/b")
        other = await server.request("/v1/models/c")
        for path, method, status in (
            ("/", "GET", 404),
            ("/completions", "POST", 404),
            ("/v1/completions/", "POST", 404),
            (TEXT, "GET", 405),
            (CHAT, "DELETE", 405),
            ("/health", "POST", 405),
        ):
            assert (await server.request(path, method=method)).error == (status, None)
    assert listed.json == {"object": "list", "data": [described.json]}
    assert (described.json["id"], described.json["object"]) == ("a/b", "model")
    assert other.error == (404, "model")


async def measurements(server: Served) -> dict[str, float]:
    """The value of each series, by its name and the values of its labels."""
    answer = await server.request("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = re.findall(r"^(textgen_\w+)(?:\{(.*)\})? ([\d.e-]+)$", answer.body.decode(), re.MULTILINE)
    assert len(samples) == answer.body.count(b"\n")
    return {
        " ".join([name, *re.findall(r'\w+="([^"]*)"', labels)]): float(value)
        for name, labels, value in samples
    }


@asynchronous
async def test_requests_and_tokens_are_counted(tiny: textgen.Model) -> None:
    async with served(tiny, origins=["*"]) as server:
        await server.complete(prompt="dad ", n=3, max_tokens=5)
        await server.ask(CHAT, "a", max_tokens=7, stream=True)
        await server.complete(promt="a")
        await server.request("/v1/models/tiny")
        await server.request("/no/such/path")
        await server.request(TEXT, headers=PREFLIGHT, method="OPTIONS")
        await server.request("/v1/models", method="OPTIONS")
        gone = OpenCall(server.app, b"{", complete=False)
        gone.leave()
        await gone.task
        measured = await measurements(server)
        again = await measurements(server)
    counted = {
        f"textgen_requests_total {TEXT} 200": 1,
        f"textgen_requests_total {TEXT} 400": 1,
        f"textgen_requests_total {TEXT} 499": 1,
        f"textgen_requests_total {CHAT} 200": 1,
        "textgen_requests_total other 200": 1,
        "textgen_requests_total other 404": 1,
        "textgen_requests_total /v1/models 405": 1,
    }
    assert {name: value for name, value in measured.items() if "requests_total" in name} == counted
    assert measured["textgen_prompt_tokens_total"] == 4 + 1
    assert measured["textgen_generated_tokens_total"] == 3 * 5 + 7
    assert again["textgen_requests_total /metrics 200"] == 1
    # Only responses with texts are timed.
    for name in ("textgen_response_start_seconds", "textgen_response_seconds"):
        timed = {series: value for series, value in measured.items() if series.startswith(f"{name}_count")}
        assert timed == {f"{name}_count {TEXT}": 1, f"{name}_count {CHAT}": 1}
        assert measured[f"{name}_sum {TEXT}"] > 0
