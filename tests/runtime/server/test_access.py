"""Who may use the server: API keys, and the origins of web pages."""

import pytest
import textgen_runtime as textgen

from tests.helpers.served import asynchronous, served

PAGE = "https://example.org"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer wrong",
        "first",
        "Bearer \xe9",
    ],
)
@asynchronous
async def test_a_request_without_the_key_is_refused(tiny_path: object, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with served(textgen.load(str(tiny_path)), keys=["first", "second"]) as server:
        for method, path in (("POST", "/v1/completions"), ("GET", "/v1/models"), ("GET", "/other")):
            answer = await server.request(method, path, b'{"prompt": "a"}', headers)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json["error"]["code"] == "invalid_api_key"
            assert "first" not in answer.json["error"]["message"]


@pytest.mark.parametrize("header", ["Bearer first", "bearer second", "Bearer  first"])
@asynchronous
async def test_a_request_with_a_key_is_answered(tiny_path: object, header: str) -> None:
    async with served(textgen.load(str(tiny_path)), keys=["first", "second"]) as server:
        assert (await server.complete({"Authorization": header}, prompt="a")).status == 200
        assert (await server.request("GET", "/v1/models", headers={"Authorization": header})).status == 200


@asynchronous
async def test_health_needs_no_key(tiny: textgen.Model) -> None:
    async with served(tiny, keys=["first"]) as server:
        assert (await server.request("GET", "/health")).status == 200


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
}


@pytest.mark.parametrize("origins", [(), ("https://example.com",)])
@asynchronous
async def test_web_pages_of_other_origins_are_refused(tiny: textgen.Model, origins: tuple[str, ...]) -> None:
    async with served(tiny, origins=origins) as server:
        answer = await server.complete({"Origin": PAGE}, prompt="a")
        health = await server.request("GET", "/health", headers={"Origin": PAGE})
        preflight = await server.request("OPTIONS", "/v1/completions", headers={"Origin": PAGE, **PREFLIGHT})
        # Programs send no origin.
        assert (await server.complete(prompt="a")).status == 200
    assert answer.status == 403
    assert answer.json["error"]["code"] == "origin_not_allowed"
    assert health.status == 403
    assert preflight.status in (400, 403)
    for refused in (answer, health, preflight):
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origins", [(PAGE,), ("https://example.com", PAGE), ("*",)])
@pytest.mark.parametrize("keys", [(), ("secret",)])
@asynchronous
async def test_web_pages_of_allowed_origins_are_answered(
    tiny_path: object, origins: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    headers = {"Origin": PAGE, "Authorization": f"Bearer {'secret' if keys else 'none'}"}
    async with served(textgen.load(str(tiny_path)), origins=origins, keys=keys) as server:
        answer = await server.complete(headers, prompt="a", stream=True)
        wrong = await server.complete({**headers, "Authorization": "Bearer x"}, prompt="a", n=0)
        preflight = await server.request("OPTIONS", "/v1/completions", headers={"Origin": PAGE, **PREFLIGHT})
    assert (answer.status, preflight.status) == (200, 200)
    assert wrong.status == (401 if keys else 400)
    # A page can read errors, too.
    for allowed in (answer, wrong, preflight):
        assert allowed.headers["access-control-allow-origin"] in (PAGE, "*")
    assert "x-stainless-lang" in preflight.headers["access-control-allow-headers"]
