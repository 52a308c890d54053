"""The id of a request, in its response and in the log."""

import io
import logging

import pytest
import textgen_runtime as textgen
from textgen_runtime.server import completions
from textgen_runtime.server.request_ids import LogFormatter

from tests.helpers.served import asynchronous, served


@asynchronous
async def test_every_response_has_an_id_of_its_own(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tiny, keys=["key"], origins=["https://example.org"]) as server:
        key = {"Authorization": "Bearer key"}
        answers = [
            await server.complete(key, prompt="a"),
            await server.chat("a", key, stream=True),
            await server.complete(key, promt="a"),
            await server.complete(prompt="a"),
            await server.request("GET", "/other", headers=key),
            await server.request("GET", "/health"),
        ]
        monkeypatch.setattr(completions, "parse_request", None)
        answers.append(await server.complete(key, prompt="a"))
    assert [answer.status for answer in answers] == [200, 200, 400, 401, 404, 200, 500]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(answers)
    assert answers[0].json["id"] == f"cmpl-{ids[0]}"
    assert {event["id"] for event in answers[1].events} == {f"chatcmpl-{ids[1]}"}


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [("3f2a-9.b:c/d@e=f+g_h", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("", False)],
    ids=lambda value: str(value)[:20],
)
@asynchronous
async def test_a_client_can_choose_the_id_if_it_is_a_word(
    tiny: textgen.Model, chosen: str, kept: bool
) -> None:
    async with served(tiny) as server:
        answer = await server.complete({"X-Request-ID": chosen}, prompt="a")
    assert (answer.headers["x-request-id"] == chosen) == kept
    assert answer.headers["x-request-id"]


@asynchronous
async def test_a_page_may_read_the_id(tiny: textgen.Model) -> None:
    page = "https://example.org"
    async with served(tiny, origins=[page]) as server:
        answer = await server.complete({"Origin": page}, prompt="a")
    assert answer.headers["access-control-expose-headers"] == "X-Request-ID"


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
            monkeypatch.setattr("textgen_runtime.server.text.Text.start", fail)
            answer = await server.complete({"X-Request-ID": "first"}, prompt="a")
    finally:
        logger.removeHandler(handler)
    assert answer.status == 500
    lines = written.getvalue().splitlines()
    assert lines[:2] == ["server: no request", "server: a text failed (request first)"]
