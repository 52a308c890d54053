"""Fields that the server does not know."""

from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.server.fields import MAX_IGNORED, IgnoredFields

from tests.helpers.served import asynchronous, served
from tests.runtime.server.test_bad_requests import check_error

SENT: dict[str, Any] = {"store": True, "metadata": {"a": "b"}, "service_tier": "auto"}


@asynchronous
async def test_an_unknown_field_is_refused_with_the_option_that_ignores_it(tiny: textgen.Model) -> None:
    message = "unknown field 'store': remove it, or start the server with --ignore-unknown-fields"
    async with served(tiny) as server:
        check_error(await server.chat("a", **SENT), 400, message, "store")
        check_error(await server.complete(prompt="a", **SENT), 400, message, "store")


@asynchronous
async def test_a_field_that_is_null_was_not_given(tiny: textgen.Model) -> None:
    null = {
        **dict.fromkeys(SENT),
        "tools": None,
        "suffix": None,
        "stream_options": {"a": None},
        "stream": True,
    }
    async with served(tiny) as server:
        answers = [await server.chat("a", max_tokens=9, **null), await server.complete(prompt="a", **null)]
    assert [answer.status for answer in answers] == [200, 200]


@asynchronous
async def test_ignored_fields_have_no_effect_and_each_is_logged_once(
    tiny: textgen.Model, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"stream": True, "stream_options": {"include_obfuscation": False}}
    async with served(tiny, ignore_unknown_fields=True) as server:
        answers = [
            await server.chat("a", max_tokens=9, seed=7, **SENT),
            await server.complete(prompt="a", max_tokens=9, seed=7, **SENT, verbosity="low"),
            await server.complete(prompt="a", max_tokens=9, seed=7, **options),
        ]
    text = tiny.generate("a", length=9, seed=7, temperature=1.0)
    assert [answer.texts for answer in answers] == [[text]] * 3
    assert caplog.messages == [
        "ignores unknown fields of requests: 'store', 'metadata', 'service_tier'",
        "ignores unknown fields of requests: 'verbosity'",
        "ignores unknown fields of requests: 'stream_options.include_obfuscation'",
    ]


def test_a_client_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    ignored = IgnoredFields()
    ignored.log(["a\nb" + "c" * 10_000])
    ignored.log([f"name {i}" for i in range(2 * MAX_IGNORED)])
    ignored.log(["another"])
    first, second = caplog.messages
    assert "\n" not in first
    assert len(first) < 200
    assert second.count("'name ") == MAX_IGNORED - 1
    assert second.endswith("; no further names are logged")


def test_a_client_with_many_fields_does_not_delay_others() -> None:
    ignored = IgnoredFields()
    names = iter([f"name {i}" for i in range(10 * MAX_IGNORED)])
    for _ in range(3):
        ignored.log(names)
    assert len(list(names)) == 9 * MAX_IGNORED


def test_long_names_that_look_alike_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    IgnoredFields().log(["a" * 100 + str(i) + "b" * 100 for i in range(2)])
    assert "".join(caplog.messages).count("aaa...bbb") == 1
