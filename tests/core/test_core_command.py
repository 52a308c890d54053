"""The command ``textgen``, written in C: the same words, texts and exit codes as ``textgen-run``."""

import os
import pty
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from textgen_runtime._version import __version__
from textgen_runtime.cli.embed import main as embed
from textgen_runtime.cli.run import main as textgen_run
from textgen_runtime.model_file.source import find_model_file
from textgen_runtime.text.records import RECORD_KINDS, RecordKind

from tests.core.conftest import Installed
from tests.helpers.commands import Captured, run_here
from tests.helpers.core_install import make, needs_make
from tests.helpers.definitions import definitions
from tests.helpers.paths import TINY
from tests.helpers.record_models import LEVELS, record_content

pytestmark = needs_make

NIETZSCHE = find_model_file("nietzsche")
MAX_COMMAND_BYTES = 100 * 1024

PROMPTS = [("a",), ("-",), ("--prompt", "b"), ("--prompt-file", "c"), ("d",)]
SEVERAL_PROMPTS = "there are several prompts: pass only one of PROMPT, --prompt and --prompt-file"


@pytest.fixture
def command(installed: Installed) -> Path:
    return installed.prefix / "bin" / "textgen"


def spelled(name: str) -> str:
    """Return the option of a parameter."""
    return "--temp" if name == "temperature" else "--" + name.replace("_", "-")


def run(command: Path, *arguments: str | Path, text: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run([command, *map(str, arguments)], input=text, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--prompt", "The Will to "),
        ("--temp", "0"),
        ("--temp=1.2", "--length=100"),
        ("--temp", "+0.9", "--length", "+5", "--seed", "+8"),
        ("--count", "3", "--length", "150"),
        ("--prompt", "what is ", "--stop=. ", "--stop=e\\n", "--stop=T", "--stop=50 €", "--temp", "1"),
        ("--stop", "\\t", "--stop", "\\\\n", "--stop", "\\x"),
        ("--stop", "e ", "--keep-stop", "--no-echo"),
        ("--stop", " of the ", "--length", "1000", "--count", "20"),
        ("--until-newline", "--count", "4"),
        ("--prompt", "a", "--until-newline", "--keep-stop"),
        ("--seed", str(2**128 - 1)),
        ("--seed", str(2**64 + 5), "--count", "2"),
        ("--top-k", "9", "--typical-p", "0.9", "--top-p", "0.8", "--min-p", "0.05", "--temp", "1"),
        ("--mirostat-tau", "1", "--mirostat-eta", "1", "--presence-penalty=-0.3", "--penalty-window", "9"),
    ],
    ids=" ".join,
)
def test_texts_equal_those_of_textgen_run(command: Path, capsys: Captured, options: tuple[str, ...]) -> None:
    arguments = (NIETZSCHE, "--seed", "7", *options)
    code, text, warnings = run_here(textgen_run, capsys, *arguments)
    assert run(command, *arguments) == (code, text, warnings.replace("textgen-run:", "textgen:"))


@pytest.mark.parametrize("kind", RECORD_KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_records_equal_those_of_textgen_run(
    command: Path, capsys: Captured, tmp_path: Path, level: str, kind: RecordKind
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content(level, kind, end_bias=4.0 if level == "byte" else 0.0))
    for options in (
        ("--count", "5"),
        ("--prompt", "cab", "--length", "20"),
        ("--stop", "b"),
        ("--min-length", "70"),
    ):
        arguments = (str(path), "--seed", "3", "--temp", "1", *options)
        code, text, _ = run_here(textgen_run, capsys, *arguments)
        assert run(command, *arguments)[:2] == (code, text)


def test_bytes_are_written_as_by_textgen_run(command: Path, capsys: Captured, tmp_path: Path) -> None:
    """Random bytes are rarely UTF-8: each part that is not becomes U+FFFD."""
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content("byte", end_bias=-1e4))
    arguments = (str(path), "--seed", "3", "--temp", "1000", "--length", "30000")
    code, text, _ = run_here(textgen_run, capsys, *arguments)
    assert "\ufffd" in text
    assert run(command, *arguments)[:2] == (code, text)


def test_control_characters_are_shown_as_escapes_on_a_terminal(command: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content("byte"))
    arguments = [str(command), str(path), "--prompt", "a\t\x1b[2J\r\x7f\x9bé", "--stop", "b", "--length", "1"]
    expected = "a\t\\x1b[2J\\r\\x7f\\x9bé".encode()
    master, terminal = pty.openpty()
    with open(master, "rb", buffering=0) as shown:  # noqa: PTH123 (a descriptor)
        subprocess.run(arguments, stdout=terminal, check=True)
        os.close(terminal)
        written = b""
        while len(written) < len(expected):
            written += shown.read(100)
    assert written.startswith(expected)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "options",
    [
        ("--prompt", "cab"),
        ("--prompt", "x cab"),
        ("--prompt", "a€x\n€€ \ufeffx'"),
        ("--prompt", "\ufeff"),
        ("--prompt", "\ufeff\ufeffcab"),
        ("--prompt", "\ufeff\r\ncab"),
        ("--prompt", "\u202f\u3000\u1680\u180e\u2003\u200a\u205f\ue000\uf8ff\u4e00"),
        ("--prompt", "\U0002ffff\U000f0000\U0010fffd"),
        ("--prompt", "".join(map(chr, range(0x20, 0x90)))),
        ("--prompt", "\t\x01\\\u200b\U0001f600", "--stop", "é€"),
    ],
    ids=repr,
)
def test_warnings_about_characters_equal_those_of_textgen_run(
    command: Path, capsys: Captured, tmp_path: Path, level: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content(level, end_bias=4.0 if level == "byte" else 0.0))
    arguments = (str(path), "--seed", "3", "--length", "10", *options)
    code, text, warnings = run_here(textgen_run, capsys, *arguments)
    assert run(command, *arguments) == (code, text, warnings.replace("textgen-run:", "textgen:"))


def test_the_prompt_comes_from_an_argument_a_file_or_standard_input(command: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt").write_bytes("\ufeffone\r\ntwo \r\n".encode())
    options = ("--seed", "1", "--length", "5")
    expected = run(command, NIETZSCHE, "one\ntwo ", *options)
    assert expected[1].startswith("one\ntwo ")
    assert run(command, NIETZSCHE, "--prompt-file", tmp_path / "prompt", *options) == expected
    assert run(command, NIETZSCHE, "-", *options, text=b"one\ntwo \n") == expected
    assert run(command, "--", NIETZSCHE, "one\ntwo ")[0] == 0


@pytest.mark.parametrize("level", LEVELS)
def test_a_prompt_file_that_is_no_text_is_refused_as_by_textgen_run(
    command: Path, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(record_content(level))
    for content in (
        b"ab\0c",
        b"ab\xff\0",
        b"a caf\xe9",
        b"ab\xe2\x82",
        b"\xed\xa0\x80",
        b"a\xf0\x80\x80\x80",
    ):
        Path("prompt").write_bytes(content)
        arguments = ("model.onnx", "--prompt-file", "prompt")
        code, text, errors = run_here(textgen_run, capsys, *arguments)
        assert (code, text) == (1, "")
        expected = errors.replace("textgen-run:", "textgen:")
        assert run(command, *arguments) == (code, text, expected)
        from_input = run(command, "model.onnx", "-", text=content)
        assert from_input == (code, text, expected.replace("error: prompt is", "error: standard input is"))


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_prompt_file_is_refused_as_by_textgen_run(
    command: Path, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prompt").write_bytes(content)
    arguments = (NIETZSCHE, "--prompt-file", "prompt")
    code, text, errors = run_here(textgen_run, capsys, *arguments)
    assert (code, text) == (1, "")
    assert run(command, *arguments) == (code, text, errors.replace("textgen-run:", "textgen:"))


def test_standard_input_is_read_from_where_it_is(command: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"first\nsecond\n")
    shell = f'(read line; "{command}" "{NIETZSCHE}" - --length 1 --temp 0) < "{path}"'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, check=True)
    assert done.stdout.startswith(b"second")


def test_a_model_may_be_a_folder(command: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(Path(NIETZSCHE).read_bytes())
    options = ("--seed", "1", "--length", "5")
    assert run(command, tmp_path, *options) == run(command, NIETZSCHE, *options)


def test_the_stored_prompt_is_that_of_textgen_run(command: Path, capsys: Captured) -> None:
    """The seed chooses one of three prompts."""
    for seed in (1, 2**64, 2**64 + 1, 2**128 - 1):
        arguments = (str(TINY), "--seed", str(seed), "--length", "1")
        code, text, _ = run_here(textgen_run, capsys, *arguments)
        assert run(command, *arguments)[:2] == (code, text)


def test_a_new_seed_gives_another_text(command: Path) -> None:
    assert len({run(command, NIETZSCHE, "a", "--temp", "1")[1] for _ in range(3)}) > 1


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ([], 2, "the following arguments are required: MODEL"),
        ([NIETZSCHE, "--lenght=5"], 2, "unrecognized arguments: --lenght=5 (see textgen --help)"),
        ([NIETZSCHE, "--logit-bias", "a=1"], 2, "unrecognized arguments: --logit-bias (see"),
        ([NIETZSCHE, "--" + "x" * 500], 2, "unrecognized arguments: --xxx"),
        ([NIETZSCHE, "--temp"], 2, "argument --temp: expected one argument"),
        ([NIETZSCHE, "--temp", "hot"], 2, "argument --temp: must be a finite number, 0 or more, not 'hot'"),
        ([NIETZSCHE, "--temp", "0x1"], 2, "argument --temp: must be a finite number, 0 or more, not '0x1'"),
        (
            [NIETZSCHE, "--top-p", "0"],
            2,
            "argument --top-p: must be a number more than 0, at most 1, not '0'",
        ),
        ([NIETZSCHE, "--penalty-window=1025"], 2, "--penalty-window: must be an integer from 1 to 1024, not"),
        ([NIETZSCHE, "--top-k", "1.5"], 2, "argument --top-k: must be an integer from 0 to 2147483647, not"),
        ([NIETZSCHE, "--top-k", str(2**64 + 5)], 2, f"to 2147483647, not '{2**64 + 5}'"),
        *(
            ([NIETZSCHE, "--length", length], 2, f"must be an integer from 1 to {2**63 - 1}, not '{length}'")
            for length in ("0", "+-5", "+", str(2**63))
        ),
        (
            [NIETZSCHE, "--seed", str(2**128)],
            2,
            "argument --seed: must be an integer from 0 to 2**128 - 1, not",
        ),
        (
            [NIETZSCHE, "--seed", "-1"],
            2,
            "argument --seed: must be an integer from 0 to 2**128 - 1, not '-1'",
        ),
        ([NIETZSCHE, "--stop", ""], 2, "argument --stop: must not be empty"),
        ([NIETZSCHE, "--keep-stop=1"], 2, "argument --keep-stop=1: it has no value"),
        *(([NIETZSCHE, *first, *second], 2, SEVERAL_PROMPTS) for first, second in pairwise(PROMPTS)),
        ([NIETZSCHE, "--prompt-file", "/"], 1, "cannot read /: Is a directory"),
        (["/"], 1, "cannot read the model file /: Is a directory"),
        ([NIETZSCHE, "--mirostat-tau", "1", "--top-k", "2"], 2, "mirostat_tau replaces top_k"),
        (["absent.onnx"], 1, "cannot read the model file absent.onnx: No such file or directory"),
        ([__file__], 1, "model file: "),
        ([NIETZSCHE, ""], 1, "the prompt is empty: omit it to start from a prompt in the model"),
        ([NIETZSCHE, "\ufeff"], 1, "there is no text to continue: none of its characters is in the"),
        ([NIETZSCHE, "50 €"], 1, "'€' (U+20AC) at byte 3 of the text is not in the vocabulary"),
        ([TINY, "--prompt-file", "absent"], 1, "cannot read absent: No such file or directory"),
        ([NIETZSCHE, "--stop", "a" * 251], 2, "the stop texts together have more than 250 tokens"),
    ],
    ids=str,
)
def test_a_problem_is_told_in_one_line(
    command: Path, arguments: list[str | Path], code: int, problem: str
) -> None:
    returned, text, errors = run(command, *arguments)
    assert (returned, text) == (code, "")
    assert errors.startswith("textgen: error: ")
    assert problem in errors
    assert errors.count("\n") == 1


def test_the_help_has_every_option_and_parameter(command: Path) -> None:
    code, text, _ = run(command, "--help")
    assert code == 0
    assert text.startswith("usage: textgen MODEL [PROMPT] [OPTIONS]\n")
    assert max(map(len, text.splitlines())) <= 100
    names = re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE)
    for name in set(names) - {"--help", "--version"}:
        assert "unrecognized" not in run(command, TINY, name)[2]
    words = " ".join(text.split())
    for parameter in definitions.read_definition():
        option = spelled(parameter.name)
        assert parameter.in_core <= (option in names)
        about = re.sub(r"{(\w+)}", lambda found: spelled(found[1]), parameter.help)
        line = f"{option} {parameter.value} {about} (default: {parameter.default})"
        assert parameter.in_core == (line in words)
    assert run(command, "--version") == (0, f"textgen {__version__}\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it needs a device that is always full")
def test_a_full_disk_is_told_and_a_closed_pipe_is_not(command: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([command, NIETZSCHE], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == "textgen: error: cannot write standard output: No space left on device\n"
    with subprocess.Popen(
        [command, NIETZSCHE, "--length", "10000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.tier("push")
def test_a_program_may_contain_its_model(installed: Installed, tmp_path: Path) -> None:
    assert embed([str(NIETZSCHE), "-o", str(tmp_path)]) == 0
    program = installed.build / "embedded" / "textgen"
    make(str(program), f"BUILD={installed.build}", "CFLAGS=-O0", f"MODEL={tmp_path}")
    expected = run(installed.prefix / "bin" / "textgen", NIETZSCHE, "the will to ", "--seed", "7")
    assert run(program, "the will to ", "--seed", "7") == expected
    assert run(program, "--help")[1].startswith("usage: textgen [PROMPT] [OPTIONS]\n")


def test_another_model_replaces_the_one_in_the_program(tmp_path: Path) -> None:
    """The compiler of this test writes its arguments, of which the last one is the output."""
    compiler, program = tmp_path / "compiler", tmp_path / "embedded" / "textgen"
    compiler.write_text('#!/bin/sh\nfor output; do :; done\necho "$@" > "$output"\n', encoding="utf-8")
    compiler.chmod(0o700)
    written = []
    for name in ("first", "second", "second"):
        model = tmp_path / name / "model.c"
        model.parent.mkdir(exist_ok=True)
        model.touch()
        # Both models are older than the program.
        os.utime(model, (0, 0))
        make(str(program), f"BUILD={tmp_path}", f"CC={compiler}", f"MODEL={model.parent}")
        assert str(model) in program.read_text(encoding="utf-8")
        written.append(program.stat().st_mtime_ns)
    assert written[0] < written[1] == written[2]


@pytest.mark.tier("push")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other formats")
def test_the_command_is_small(tmp_path: Path) -> None:
    program, stripped = tmp_path / "textgen", tmp_path / "stripped"
    make(str(program), f"BUILD={tmp_path}")
    subprocess.run(["strip", "-o", stripped, program], check=True)
    assert stripped.stat().st_size <= MAX_COMMAND_BYTES
