"""The command ``textgen``, written in C: the texts of ``textgen-run``, and one line for each wrong use."""

import re
import subprocess
from pathlib import Path

import pytest
from textgen_runtime._version import __version__
from textgen_runtime.cli.embed import main as embed
from textgen_runtime.cli.run import main as textgen_run
from textgen_runtime.model_file import find_model_file
from textgen_runtime.text import RECORD_KINDS, RecordKind

from tests.core.conftest import Installed
from tests.helpers.c_programs import BUILDS, EMULATOR, compile_core, link_command
from tests.helpers.commands import Captured, run_here
from tests.helpers.core_install import CAN_MAKE, make, needs_make
from tests.helpers.definitions import definitions
from tests.helpers.paths import TINY
from tests.helpers.record_models import LEVELS, record_content

pytestmark = pytest.mark.skipif(
    not (CAN_MAKE or EMULATOR), reason="the command is tested as the Makefile builds it, and in emulators"
)

NIETZSCHE = find_model_file("nietzsche")
WINDOWS = BUILDS[0].is_windows


@pytest.fixture(scope="session")
def command(request: pytest.FixtureRequest) -> Path:
    """The command: the installed one, or that of another system, which runs in an emulator."""
    if EMULATOR:
        return link_command(BUILDS[0], compile_core(BUILDS[0]))
    installed = request.getfixturevalue("installed")
    assert isinstance(installed, Installed)
    return installed.prefix / "bin" / "textgen"


def spelled(name: str) -> str:
    """Return the option of a parameter."""
    return "--temp" if name == "temperature" else "--" + name.replace("_", "-")


def run(command: Path, *arguments: str | Path, text: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run([command, *map(str, arguments)], input=text, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("Thus spoke Zarathustra", "--temp=0", "--length=100"),
        ("--temp", "+0.9", "--length", "5", "--seed", str(2**64 - 1)),
        ("what is ", "--stop=. ", "--stop=e\\n", "--stop=T", "--temp", "1"),
        ("--stop", "e ", "--keep-stop"),
        ("a", "--stop", "\\n", "--keep-stop"),
        ("--top-k", "9", "--typical-p", "0.9", "--top-p", "0.8", "--min-p", "0.05", "--temp", "1"),
        ("--mirostat-tau", "1", "--mirostat-eta", "1", "--presence-penalty=-0.3", "--penalty-window", "9"),
    ],
    ids=" ".join,
)
def test_texts_equal_those_of_textgen_run(command: Path, capsys: Captured, options: tuple[str, ...]) -> None:
    check_text(command, capsys, options)


def test_a_stop_text_may_begin_in_one_chunk_and_end_in_the_next(command: Path, capsys: Captured) -> None:
    """Chunks have 64 characters."""
    text = check_text(command, capsys, ("the will to ",)).removeprefix("the will to ")
    stop = text[60:69]
    assert check_text(command, capsys, ("the will to ", "--stop", stop)) == f"the will to {text[:60]}\n"


def check_text(command: Path, capsys: Captured, options: tuple[str, ...]) -> str:
    """Check that the command writes the text of ``textgen-run``, and return it."""
    arguments = (NIETZSCHE, "--seed", "7", *options)
    prompt = "--prompt=" if options and not options[0].startswith("-") else ""
    as_option = (NIETZSCHE, "--seed", "7", *(prompt + option for option in options[:1]), *options[1:])
    code, text, _ = run_here(textgen_run, capsys, *as_option)
    assert run(command, *arguments) == (code, text, "")
    return text


@pytest.mark.parametrize("kind", RECORD_KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_records_equal_those_of_textgen_run(
    command: Path, capsys: Captured, tmp_path: Path, level: str, kind: RecordKind
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content(level, kind, end_bias=4.0 if level == "byte" else 0.0))
    arguments = (str(path), "--seed", "3", "--temp", "1")
    for options in ((), ("--min-length", "70"), ("--stop", "b"), ("--prompt=cab",)):
        expected = run_here(textgen_run, capsys, *arguments, *options)
        written = run(command, *arguments, *(option.removeprefix("--prompt=") for option in options))
        # The command writes the beginning of a character at the end of a record, too.
        assert [part.rstrip("\ufffd\n") for part in written[1:]] == [expected[1].rstrip("\ufffd\n"), ""]
        assert written[0] == expected[0]


def test_bytes_that_are_not_utf8_are_written_as_they_are(
    command: Path, capsys: Captured, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content("byte", end_bias=-1e4))
    arguments = (str(path), "--seed", "3", "--temp", "1000", "--length", "3000", "--stop", "AB")
    written = subprocess.run([command, *arguments], capture_output=True, check=True).stdout
    _, text, _ = run_here(textgen_run, capsys, *arguments)
    assert "\ufffd" in text
    assert written.decode(errors="replace") == text


def test_the_prompt_comes_from_an_argument_or_from_standard_input(command: Path) -> None:
    options = ("--seed", "1", "--length", "5")
    expected = run(command, NIETZSCHE, "one\ntwo ", *options)
    assert expected[1].startswith("one\ntwo ")
    assert run(command, *options, "--", NIETZSCHE, "-", text=b"one\nTWO \r\n") == expected


def test_the_stored_prompt_is_that_of_textgen_run(command: Path, capsys: Captured) -> None:
    """The seed chooses one of three prompts."""
    for seed in (0, 1, 2, 2**64 - 1):
        arguments = (str(TINY), "--seed", str(seed), "--length", "1")
        code, text, _ = run_here(textgen_run, capsys, *arguments)
        assert run(command, *arguments)[:2] == (code, text)


def test_paths_and_prompts_have_any_characters(command: Path, capsys: Captured, tmp_path: Path) -> None:
    """Windows gives a program its arguments in another encoding."""
    path = tmp_path / "modèle €𝄞.onnx"
    path.write_bytes(TINY.read_bytes())
    options = ("--seed", "1", "--length", "9")
    code, text, _ = run_here(textgen_run, capsys, str(path), "--prompt", "é€ж𝄞", *options)
    assert text.startswith("é€ж𝄞")
    assert run(command, path, "é€ж𝄞", *options) == (code, text, "")
    assert run(command, tmp_path / "€")[2].startswith(f"textgen: error: cannot read {tmp_path}/€: ")


def test_a_new_seed_gives_another_text(command: Path) -> None:
    assert len({run(command, NIETZSCHE, "a", "--temp", "1")[1] for _ in range(3)}) > 1


@pytest.mark.parametrize(
    ("arguments", "code", "culprit"),
    [
        ([], 2, "model"),
        ([NIETZSCHE, "--lenght=5"], 2, "--lenght"),
        ([NIETZSCHE, "--logit-bias", "a=1"], 2, "--logit-bias"),
        ([NIETZSCHE, "--temp"], 2, "--temp "),
        ([NIETZSCHE, "--temp", ""], 2, "--temp must be a finite number, 0 or more, not ''"),
        ([NIETZSCHE, "--temp", "1a"], 2, "--temp "),
        ([NIETZSCHE, "--top-p", "0"], 2, "--top-p "),
        *(([NIETZSCHE, "--top-k", value], 2, "--top-k ") for value in ("1.5", str(2**64 + 5))),
        *(([NIETZSCHE, "--length", value], 2, "--length ") for value in ("0", "-5", "", str(2**63))),
        ([NIETZSCHE, "--seed", str(2**64)], 2, "--seed "),
        ([NIETZSCHE, "--stop", ""], 2, "--stop "),
        *(([NIETZSCHE, "--stop", value], 1, "--stop at 0 ") for value in ("50 €", "a\\t")),
        ([NIETZSCHE, "--stop", "a" * 1021], 2, "--stop at 0 "),
        ([NIETZSCHE, "--mirostat-tau", "1", "--top-k", "2"], 2, "--mirostat-tau "),
        ([NIETZSCHE, "the", "will"], 2, "prompt"),
        ([NIETZSCHE, ""], 1, "prompt"),
        ([NIETZSCHE, "50 €"], 1, "text at 3 "),
        (["/"], 1, f"cannot read /: {'Permission denied' if WINDOWS else 'Is a directory'}"),
        (["absent.onnx"], 1, "cannot read absent.onnx: No such file or directory"),
        ([__file__], 1, f"{Path(__file__).name}: "),
    ],
    ids=str,
)
def test_a_problem_is_told_in_one_line(
    command: Path, arguments: list[str | Path], code: int, culprit: str
) -> None:
    returned, text, errors = run(command, *arguments)
    assert (returned, text) == (code, "")
    assert errors.startswith("textgen: error: ")
    assert culprit in errors
    assert errors.count("\n") == 1


def test_the_help_has_every_option_and_parameter(command: Path) -> None:
    code, text, _ = run(command, "--help")
    assert code == 0
    assert text.startswith("usage: textgen MODEL [PROMPT] [OPTIONS]\n")
    names = re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE)
    for name in set(names) - {"--help", "--version"}:
        assert "unrecognized" not in run(command, TINY, name)[2]
    for parameter in definitions.read_definition():
        about = re.sub(r"{(\w+)}", lambda found: spelled(found[1]), parameter.help)
        line = f"  {spelled(parameter.name)} {parameter.value}\n      {about} (default: {parameter.default}"
        assert parameter.in_core == (line in text)
    assert run(command, "--version") == (0, f"textgen {__version__}\n", "")


@pytest.mark.skipif(WINDOWS or not Path("/dev/full").exists(), reason="it needs a device that is always full")
def test_a_full_disk_is_told(command: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([command, NIETZSCHE], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == "textgen: error: cannot write standard output: No space left on device\n"


@needs_make
@pytest.mark.tier("push")
def test_a_program_may_contain_its_model(installed: Installed, tmp_path: Path) -> None:
    assert embed([str(NIETZSCHE), "-o", str(tmp_path)]) == 0
    program = installed.build / "embedded" / "textgen"
    make(str(program), f"BUILD={installed.build}", "CFLAGS=-O0", f"MODEL={tmp_path}")
    expected = run(installed.prefix / "bin" / "textgen", NIETZSCHE, "the will to ", "--seed", "7")
    assert run(program, "the will to ", "--seed", "7") == expected
    assert run(program, "--help")[1].startswith("usage: textgen [PROMPT] [OPTIONS]\n")


@pytest.mark.tier("push")
@needs_make
@pytest.mark.parametrize(("variables", "most"), [(["TRAIN="], 100 * 1024), ([], 320 * 1024)])
def test_the_command_is_small(variables: list[str], most: int, tmp_path: Path) -> None:
    program, stripped = tmp_path / "textgen", tmp_path / "stripped"
    make(str(program), f"BUILD={tmp_path}", *variables)
    subprocess.run(["strip", "-o", stripped, program], check=True)
    assert stripped.stat().st_size <= most
