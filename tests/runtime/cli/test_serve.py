"""The command ``textgen-serve``."""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import textgen_runtime as textgen
import uvicorn
from textgen_runtime.cli import serve
from textgen_runtime.cli._serve_arguments import parser
from textgen_runtime.server import running
from textgen_runtime.server.requests import Settings

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import ROOT, TINY
from tests.helpers.programs import posix_only
from tests.helpers.serve_command import PATIENCE, PROGRAM, ServerProcess, read_all, request, running_server

pytestmark = posix_only

ENDLESS = 10**9


# The server, but it does not cut off a client that is slow to read its end.
PATIENT = """
import sys
from textgen_runtime.cli import serve
from textgen_runtime.server import running
running.MIN_CLOSING_SECONDS = 600
sys.exit(serve.main())
"""


@contextmanager
def running_text(*options: str, length: int = ENDLESS) -> Iterator[tuple[ServerProcess, socket.socket]]:
    """A server that sends a text, and the connection of its client, which has read a little.

    If the text is longer than what the system keeps for the client, it does not end before the client reads.
    """
    body = json.dumps({"prompt": "a", "max_tokens": length, "seed": 1, "stream": True}).encode()
    options = ("--max-length", str(length), "--client-timeout", "600", *options)
    with (
        running_server(*options, program=(sys.executable, "-c", PATIENT)) as server,
        socket.socket() as connection,
    ):
        # With a larger buffer and larger packets, Linux takes megabytes at once.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request(body))
        assert len(connection.recv(10)) == 10
        yield server, connection


def client(server: ServerProcess, key: str = "none") -> openai.OpenAI:
    """OpenAI's client, for a server."""
    return openai.OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=PATIENCE)


def test_the_client_of_openai_gets_texts_and_streams() -> None:
    model = textgen.load(TINY)
    expected = model.generate(["dad ", "abc"], length=50, seed=7, temperature=0.8, top_p=0.9)
    options: dict[str, Any] = {"max_tokens": 50, "seed": 7, "temperature": 0.8, "top_p": 0.9}
    with running_server() as server, client(server) as api:
        (listed,) = api.models.list().data
        assert listed.id == "tiny"
        assert api.models.retrieve("tiny") == listed
        whole = api.completions.create(model="tiny", prompt=["dad ", "abc"], **options)
        assert [choice.text for choice in whole.choices] == expected
        assert [choice.finish_reason for choice in whole.choices] == ["length", "length"]
        assert whole.usage
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (7, 100)
        stream = api.completions.create(
            model="tiny",
            prompt="dad ",
            stream=True,
            stream_options={"include_usage": True},
            logprobs=2,
            **options,
        )
        chunks = list(stream)
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == expected[0]
        assert chunks[-1].usage
        assert chunks[-1].usage.total_tokens == 54
        assert chunks[0].choices[0].logprobs
        with pytest.raises(openai.BadRequestError, match="max_tokens must be from 0"):
            api.completions.create(model="tiny", prompt="a", max_tokens=-1)
        with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
            api.completions.create(model="other", prompt="a")
        extended = api.completions.create(model="tiny", prompt="a", seed=1, extra_body={"allowed": "abc"})
        assert set(extended.choices[0].text) <= set("abc")


def test_the_client_of_openai_chats() -> None:
    expected = textgen.load(TINY).generate("dad ", length=50, seed=7, temperature=0.8)
    message: Any = [{"role": "user", "content": "dad "}]
    options: dict[str, Any] = {"max_tokens": 50, "seed": 7, "temperature": 0.8, "store": True}
    with running_server("--ignore-unknown-fields", "--metrics") as server, client(server) as api:
        whole = api.chat.completions.create(model="tiny", messages=message, **options)
        assert whole.choices[0].message.content == expected
        assert whole.id == f"chatcmpl-{whole._request_id}"
        stream = api.chat.completions.create(model="tiny", messages=message, stream=True, **options)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == expected
        with pytest.raises(openai.BadRequestError, match="calls no tools"):
            api.chat.completions.create(model="tiny", messages=message, extra_body={"tools": [{}]})
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as response:
            measured = response.read()
        assert b"\ntextgen_generated_tokens_total 100.0\n" in measured
        assert b"_created" not in measured
        _, printed = server.stop()
    assert printed.startswith("textgen-serve: ignores unknown fields of requests: 'store' (request ")


def test_the_programs_of_the_guide_run() -> None:
    """The client in Python, and the commands with curl, whose bodies are sent here without it."""
    guide = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    address = "http://127.0.0.1:8000/v1"
    (program,) = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    commands = re.findall(rf"^curl {address}(/\S+) -d '(.*)'$", guide, re.MULTILINE)
    assert [path for path, _ in commands] == ["/completions", "/chat/completions"]
    with running_server(model="nietzsche") as server:
        done = subprocess.run(
            [sys.executable, "-c", program.replace(address, server.url)],
            capture_output=True,
            check=False,
            encoding="utf-8",
        )
        assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", 2000)
        for path, body in commands:
            with server.connect() as connection:
                connection.sendall(request(body.encode(), "Connection: close", path=f"/v1{path}"))
                assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_a_key_can_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\n\n  second \n", encoding="utf-8")
    with running_server("--api-key-file", str(keys), environment={"TEXTGEN_API_KEY": "third"}) as server:
        for key in ("first", "second", "third"):
            with client(server, key) as api:
                assert api.completions.create(model="tiny", prompt="a").choices
        with client(server, "fourth") as api, pytest.raises(openai.AuthenticationError):
            api.models.list()


def test_requests_are_logged_if_wanted_and_ctrl_c_ends_the_server_with_130() -> None:
    """``test_connections.py`` has a server without this option, which SIGTERM ends with 0."""
    with running_server("--access-log") as server:
        with server.connect() as connection:
            headers = "Host: localhost\r\nConnection: close\r\nX-Request-ID: mine"
            connection.sendall(f"GET /health HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")
        code, printed = server.stop(signal.SIGINT)
    assert code == 130
    assert printed.count('"GET /health HTTP/1.1" 200 (request mine)\n') == 1
    assert printed.endswith("textgen-serve: stops now\n")


def test_a_signal_lets_running_texts_end() -> None:
    with running_text("--grace", "600", length=400_000) as (server, connection):
        server.process.send_signal(signal.SIGINT)
        assert server.process.stderr
        assert server.process.stderr.readline() == "textgen-serve: stops when 1 text is complete\n"
        assert read_all(connection).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert server.end() == (130, "")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_stops_refuses_new_requests_and_ends_at_a_second_signal(second: int) -> None:
    with running_text() as (server, _):
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr
        assert server.process.stderr.readline() == "textgen-serve: stops when 1 text is complete\n"
        with server.connect() as late:
            late.sendall(request(b'{"prompt": "a"}', "Connection: close"))
            answer = read_all(late)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert server.stop(second) == (-second, "")


def test_after_the_grace_time_running_texts_end_with_an_error() -> None:
    with running_text("--grace", "0.1") as (server, connection):
        server.process.send_signal(signal.SIGTERM)
        answer = read_all(connection)
        assert server.end() == (0, "textgen-serve: stops when 1 text is complete\n")
    assert b"the server stopped before the text was complete" in answer
    assert b"[DONE]" not in answer


def test_a_port_is_taken_from_the_start_on() -> None:
    """Two servers that start at the same time must not both believe that they have the port."""
    with running.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(running.ServerError, match=f"cannot listen on 127.0.0.1, port {port}: "):
            running.listen("127.0.0.1", port)


def test_a_server_whose_sockets_fail_does_not_wait_for_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise OSError("no sockets")

    monkeypatch.setattr(uvicorn.Server, "startup", fail)
    interval = sys.getswitchinterval()
    with running.listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="no sockets"):
        running.serve(textgen.load(TINY), Settings("tiny"), listener)
    sys.setswitchinterval(interval)
    gc.unfreeze()


def test_a_port_that_is_in_use_is_refused(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run_here(serve.main, capsys, str(TINY), "--port", str(port))
    assert (code, out) == (1, "")
    assert err == f"textgen-serve: error: cannot listen on 127.0.0.1, port {port}: Address already in use\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid, port 8000: "),
        (["--host", "a.."], "cannot listen on a.., port 8000: this is not a host name"),
        (["--host", "\udcff"], "port 8000: this is not a host name"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1, port 8000: Cannot assign requested address"),
        (["--api-key-file", "missing"], "cannot read missing: No such file or directory"),
        (["--api-key-file", "empty"], "empty: the file has no API key"),
        (["--api-key-file", "spaces"], "API key 2: a key must consist of ASCII characters without spaces"),
        (["--api-key-file", "umlaut"], "API key 1: a key must consist of ASCII characters without spaces"),
        (["--allow-origin", "example.org"], "--allow-origin: 'example.org' is not an origin"),
        (["--allow-origin", "https://example.org/"], "'https://example.org/' is not an origin"),
    ],
)
def test_options_that_cannot_work_are_refused(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("empty", " \n"), ("spaces", "first\nsecond third\n"), ("umlaut", "schlüssel\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    code, _, err = run_here(serve.main, capsys, str(TINY), *options)
    assert code in (1, 2)
    assert message in err
    assert "third" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("package", "options", "message"),
    [
        ("uvicorn", [], 'this command requires uvicorn: in a clone of this project, pip install ".[serve]"'),
        (
            "prometheus_client",
            ["--metrics"],
            '--metrics requires prometheus_client: in a clone of this project, pip install ".[metrics]"',
        ),
    ],
)
def test_the_command_names_the_extra_that_it_needs(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, package: str, options: list[str], message: str
) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == package else name)
    code, _, err = run_here(serve.main, capsys, str(TINY), *options)
    assert (code, err) == (1, f"textgen-serve: error: {message}\n")


def test_a_server_that_others_can_reach_without_a_key_warns() -> None:
    with subprocess.Popen(
        [str(PROGRAM), str(TINY), "--port", "0", "--host", "0.0.0.0"],  # noqa: S104 (what the test is about)
        env={name: value for name, value in os.environ.items() if name != "TEXTGEN_API_KEY"},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stderr
            assert "http://0.0.0.0:" in process.stderr.readline()
            warning = process.stderr.readline()
        finally:
            process.kill()
    assert warning == (
        "textgen-serve: warning: other machines can use this server without a key: set one with "
        "--api-key-file\n"
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [("nietzsche", "nietzsche"), ("a/small.onnx", "small"), ("b/model.onnx", "b"), ("b", "b"), (".", None)],
)
def test_the_model_is_named_after_its_file_or_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, name: str | None
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.onnx").touch()
    monkeypatch.chdir(tmp_path)
    assert serve.model_name(path) == (name or tmp_path.name)


@pytest.mark.parametrize("options", [["caf\udce9.onnx"], [str(TINY), "--model-name", "caf\udce9"]])
def test_a_name_that_is_not_utf_8_gets_question_marks(options: list[str]) -> None:
    assert serve.settings_of(parser().parse_args(options)).model_name == "caf?"
