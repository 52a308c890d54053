"""The counts and times at ``/metrics``."""

import json

import pytest
import textgen_runtime as textgen
from prometheus_client.parser import text_string_to_metric_families
from textgen_runtime._version import __version__

from tests.helpers.served import ENDLESS, OpenCall, Served, asynchronous, served, until

# What a browser sends before a page on another host may send a request.
PREFLIGHT = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}


async def measurements(server: Served) -> dict[str, float]:
    """The value of each series, by its name and the values of its labels."""
    answer = await server.request("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.body.decode())
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


@asynchronous
async def test_requests_and_tokens_are_counted(tiny: textgen.Model) -> None:
    async with served(tiny, metrics=True, origins=["*"]) as server:
        await server.complete(prompt="dad ", n=3, max_tokens=5)
        await server.chat("a", max_tokens=7, stream=True)
        await server.complete(promt="a")
        await server.request("GET", "/v1/models/tiny")
        await server.request("GET", "/no/such/path")
        await server.request("OPTIONS", "/v1/completions", headers=PREFLIGHT)
        await server.request("OPTIONS", "/v1/models")
        measured = await measurements(server)
        again = await measurements(server)
    assert {name: value for name, value in measured.items() if name.startswith("textgen_requests_total")} == {
        "textgen_requests_total /v1/completions 200": 1,
        "textgen_requests_total /v1/completions 400": 1,
        "textgen_requests_total /v1/chat/completions 200": 1,
        "textgen_requests_total other 200": 1,
        "textgen_requests_total other 404": 1,
        "textgen_requests_total /v1/models 405": 1,
    }
    assert measured["textgen_prompt_tokens_total"] == 4 + 1
    assert measured["textgen_generated_tokens_total"] == 3 * 5 + 7
    assert measured[f"textgen_info {tiny.engine.name} tiny {__version__}"] == 1
    assert again["textgen_requests_total /metrics 200"] == 1


@pytest.mark.parametrize("name", ["textgen_response_start_seconds", "textgen_response_seconds"])
@asynchronous
async def test_only_responses_with_texts_are_timed(tiny_path: object, name: str) -> None:
    async with served(textgen.load(str(tiny_path)), metrics=True) as server:
        await server.complete(prompt="a", max_tokens=5)
        await server.complete(prompt="a", max_tokens=5, stream=True)
        await server.complete(promt="a")
        await server.request("GET", "/v1/models")
        gone = OpenCall(server.app, b"{", complete=False)
        gone.leave()
        await gone.task
        measured = await measurements(server)
    counts = {series: value for series, value in measured.items() if series.startswith(f"{name}_count")}
    assert counts == {f"{name}_count /v1/completions": 2}
    assert measured[f"{name}_sum /v1/completions"] > 0
    # 100,000 tokens can take minutes.
    assert f"{name}_bucket 1000.0 /v1/completions" in measured


@asynchronous
async def test_texts_that_run_and_wait_are_shown_and_clients_that_left_are_counted(
    tiny: textgen.Model,
) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": ENDLESS}).encode()
    stream = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "stream": True}).encode()
    async with served(tiny, metrics=True, max_users=1, max_length=ENDLESS) as server:
        running = OpenCall(server.app, stream)
        await running.beginning()
        waiting = OpenCall(server.app, body)
        await until(lambda: server.scheduler.texts == 2)
        measured = await measurements(server)
        for call in (running, waiting):
            call.leave()
            await call.task
        await server.scheduler.idle()
        after = await measurements(server)
    assert (measured["textgen_texts_running"], measured["textgen_texts_waiting"]) == (1, 1)
    assert (after["textgen_texts_running"], after["textgen_texts_waiting"]) == (0, 0)
    assert after["textgen_requests_total /v1/completions 200"] == 1
    assert after["textgen_requests_total /v1/completions 499"] == 1


@asynchronous
async def test_measurements_need_the_key(tiny: textgen.Model) -> None:
    async with served(tiny, metrics=True, keys=["first"]) as server:
        assert (await server.request("GET", "/metrics")).status == 401
        headers = {"Authorization": "Bearer first", "Host": "textgen.example.org"}
        assert (await server.request("GET", "/metrics", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("localhost:8000", 200),
        ("textgen", 200),
        ("example.org:8000", 403),
        ("1.example.org", 403),
        ("localhost.", 403),
        ("127.0.0.1@example.org", 403),
        ("[::1", 403),
    ],
)
@asynchronous
async def test_a_web_page_cannot_read_the_measurements_under_its_own_host_name(
    tiny_path: object, host: str, status: int
) -> None:
    async with served(textgen.load(str(tiny_path)), metrics=True) as server:
        answer = await server.request("GET", "/metrics", headers={"Host": host})
    assert answer.status == status
    assert status == 200 or answer.json["error"]["code"] == "host_not_allowed"
