"""The command ``textgen-serve``: its clients, its options and its messages."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import openai
import pytest
import textgen_runtime as textgen
from textgen_runtime.cli import serve

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import ROOT, TINY
from tests.helpers.programs import posix_only
from tests.helpers.serve_command import PATIENCE, ServerProcess, read_all, request, running_server

pytestmark = posix_only


def client(server: ServerProcess, key: str = "none") -> openai.OpenAI:
    """OpenAI's client, for a server."""
    return openai.OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=PATIENCE)


def test_the_client_of_openai_gets_texts_and_chats() -> None:
    options: dict[str, Any] = {"max_tokens": 50, "seed": 7, "temperature": 0.8, "top_p": 0.9}
    expected = textgen.load(TINY).generate(["dad ", "abc"], length=50, seed=7, temperature=0.8, top_p=0.9)
    message: Any = [{"role": "user", "content": "dad "}]
    with running_server("--ignore-unknown-fields") as server, client(server) as api:
        (listed,) = api.models.list().data
        assert (listed.id, api.models.retrieve("tiny")) == ("tiny", listed)
        whole = api.completions.create(
            model="tiny", prompt=["dad ", "abc"], extra_body={"store": True}, **options
        )
        assert [(choice.text, choice.finish_reason) for choice in whole.choices] == [
            (text, "length") for text in expected
        ]
        counted: Any = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [*api.completions.create(model="tiny", prompt="dad ", logprobs=0, **counted, **options)]
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == expected[0]
        assert chunks[0].choices[0].logprobs
        assert chunks[-1].usage.total_tokens == 54
        chat = api.chat.completions.create(
            model="tiny", messages=message, logprobs=True, store=True, **options
        )
        assert chat.choices[0].message.content == expected[0]
        assert [score.token for score in chat.choices[0].logprobs.content or ()] == [*expected[0]]
        assert chat.id == f"chatcmpl-{chat._request_id}"
        events = api.chat.completions.create(model="tiny", messages=message, stream=True, **options)
        assert "".join(event.choices[0].delta.content or "" for event in events) == expected[0]
        with pytest.raises(openai.BadRequestError, match="max_tokens"):
            api.completions.create(model="tiny", prompt="a", max_tokens=-1)
        with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
            api.completions.create(model="other", prompt="a")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as response:
            measured = response.read()
        assert b"textgen_generated_tokens_total 250\n" in measured


def test_the_programs_of_the_guide_run() -> None:
    """The client in Python, and the commands with curl, whose bodies are sent here without it."""
    guide = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    address = "http://127.0.0.1:8000/v1"
    (program,) = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    commands = re.findall(rf"^curl {address}(/\S+) -d '(.*)'$", guide, re.MULTILINE)
    assert [path for path, _ in commands] == ["/completions", "/chat/completions"]
    with running_server(model="nietzsche") as server:
        program = program.replace(address, server.url)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=False, encoding="utf-8"
        )
        assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", 2000)
        for path, body in commands:
            with server.connect() as connection:
                connection.sendall(request(body.encode(), "Connection: close", path=f"/v1{path}"))
                assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_a_key_can_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\ufefffirst\n\n  second \n", encoding="utf-8")
    options = ("--api-key-file", str(keys), "--host", "0.0.0.0")  # noqa: S104 (with a key, without a warning)
    with running_server(*options, environment={"TEXTGEN_API_KEY": "third"}) as server:
        for key in ("first", "second", "third"):
            with client(server, key) as api:
                assert api.completions.create(model="tiny", prompt="a").choices
        with client(server, "fourth") as api, pytest.raises(openai.AuthenticationError):
            api.models.list()
        assert server.stop() == (0, "textgen-serve: stops now\n")


def test_requests_are_logged_if_wanted_and_ctrl_c_ends_the_server_with_130() -> None:
    options = ("--access-log", "--host", "0.0.0.0")  # noqa: S104 (others can reach it)
    with running_server(*options, environment={"TEXTGEN_API_KEY": ""}) as server:
        assert server.line().startswith("textgen-serve: warning: other machines can use this server")
        with server.connect() as connection:
            headers = "Host: localhost\r\nConnection: close\r\nX-Request-ID: mine"
            connection.sendall(f"GET /health HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")
        code, printed = server.stop(signal.SIGINT)
    assert code == 130
    assert re.fullmatch(
        r'textgen-serve: .* "GET /health HTTP/1.1" 200 \(request mine\)\n.* stops now\n', printed
    )


def test_a_port_that_is_in_use_is_refused(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = run_here(serve.main, capsys, str(TINY), "--port", port)
    assert (code, port in err) == (1, True)


def test_the_command_names_the_extra_that_it_needs(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    code, _, err = run_here(serve.main, capsys, str(TINY), "--port", "0")
    assert (code, "uvicorn" in err, "[serve]" in err) == (1, True, True)


def test_the_model_is_named_after_its_file_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.onnx").touch()
    monkeypatch.chdir(tmp_path)
    names = {
        "nietzsche": "nietzsche",
        "a/small.onnx": "small",
        "b/model.onnx": "b",
        "b/model.int8.onnx": "b",
        "caf\udce9.onnx": "caf?",
    }
    for path, name in {**names, ".": tmp_path.name}.items():
        assert serve.settings_of(serve.parser().parse_args([path])).model_name == name
    given = serve.parser().parse_args(
        ["b", "--model-name", "c", "--max-users", "3", "--ignore-unknown-fields"]
    )
    settings = serve.settings_of(given)
    assert (settings.model_name, settings.max_users, settings.ignore_unknown_fields) == ("c", 3, True)
