"""The soak of the server, with few requests."""

import signal
import subprocess
import sys
from typing import Any

import pytest

from benchmarks import soak_server
from benchmarks.serving import post
from benchmarks.soak_server import OUTCOMES, main, read_text
from tests.helpers.commands import Captured
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only

pytestmark = posix_only


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_server, "LONG_LENGTH", 2_000)
    monkeypatch.setattr(soak_server, "PAUSE", 0.0)


def test_servers_that_both_signals_end_are_right(capsys: Captured) -> None:
    code = main([str(TINY), "--servers", "2", "--clients", "4", "--requests", "150"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    _, *lines = out.splitlines()
    for line, number in zip(lines, (signal.SIGTERM, signal.SIGKILL), strict=True):
        name, *cells = line.split()
        counts = dict(zip(OUTCOMES, map(int, cells[: len(OUTCOMES)]), strict=True))
        assert name == number.name
        assert counts["wrong"] == 0
        assert min(counts[kind] for kind in ("whole", "stream", "abort", "refused")) > 0
        # One request of each client may come after those that end the server.
        assert 150 <= sum(counts.values()) <= 150 + 2 * 4


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("read_text", lambda _, **__: ("another text", True), "the text of the seed "),
        ("REFUSED", ((404, post(b"{")),), "the response to a request of the kind refused is b'HTTP/1.1 400 "),
        ("MAX_GROWTH", -(2**40), "the memory has grown by "),
    ],
)
def test_what_is_wrong_is_printed_and_is_an_error(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, message: str
) -> None:
    monkeypatch.setattr(soak_server, name, value)
    assert main([str(TINY), "--servers", "1", "--clients", "2", "--requests", "20"]) == 1
    assert all(line.startswith(message) for line in capsys.readouterr().err.splitlines())


def test_an_error_in_a_stream_is_no_text_and_no_complete_stream() -> None:
    events = b'data: {"choices": [{"text": "ab"}]}\n\n', b'data: {"error": {"message": "it failed"}}\n\n'
    response = b"HTTP/1.1 200 OK\r\n\r\n" + b"".join(events) + b"0\r\n\r\n"
    assert read_text(response, is_stream=True) == ("ab", False)


def test_what_a_server_that_ends_by_itself_has_printed_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> tuple[subprocess.Popen[str], int]:
        program = "import sys; sys.exit('out of memory')"
        server = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
        server.wait()
        return server, 1

    monkeypatch.setattr(soak_server, "start_server", start)
    with pytest.raises(SystemExit, match=r"^out of memory\nthe server has ended by itself, with 1$"):
        main([str(TINY), "--servers", "1", "--clients", "1", "--minutes", "0.0001"])


def test_one_client_ends_its_server(capsys: Captured) -> None:
    assert main([str(TINY), "--servers", "1", "--clients", "1", "--requests", "3"]) == 0
    assert capsys.readouterr().err == ""
