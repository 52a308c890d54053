"""Wrong usage ends a command with status 2, other errors of users with 1, and one line names the culprit."""

import shlex
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from tests.helpers.c_programs import Build, link_command
from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import FORMAT_2, TINY

USAGE, FAILED = 2, 1
TRAINING = {
    "train": "textgen_train.cli",
    "compare": "textgen_train.compare",
    "quantize": "textgen_train.quantize",
}

# A command with its arguments, the status, and what the line must contain.
ROWS = [
    ("run", USAGE, "MODEL"),
    ("run none.onnx", FAILED, "none.onnx"),
    ("run book.txt", FAILED, "book.txt"),
    ("run damaged.onnx", FAILED, "damaged.onnx"),
    ("run tiny.onnx --warmth 1", USAGE, "--warmth"),
    ("run tiny.onnx --temp x", USAGE, "--temp"),
    ("run tiny.onnx --temp -1", USAGE, "--temp"),
    ("run tiny.onnx --temp nan", USAGE, "--temp"),
    ("run tiny.onnx --length 0", USAGE, "--length"),
    ("run tiny.onnx --top-p 0", USAGE, "--top-p"),
    ("run tiny.onnx --penalty-window 1025", USAGE, "--penalty-window"),
    ("run tiny.onnx --mirostat-tau 1 --top-k 2", USAGE, "--mirostat-tau"),
    ("run tiny.onnx --stop ''", USAGE, "--stop"),
    ("run tiny.onnx --logit-bias Z=1", FAILED, "Z"),
    ("run tiny.onnx --allowed Z", FAILED, "--allowed"),
    ("run tiny.onnx --match '(('", FAILED, "(("),
    ("run tiny.onnx --match Z", FAILED, "Z"),
    ("run tiny.onnx --match a{9} --length 3", FAILED, "--length"),
    ("run tiny.onnx --json-schema none.json", FAILED, "none.json"),
    ("run tiny.onnx --json-schema book.txt", FAILED, "JSON schema"),
    ("run tiny.onnx --min-length 5", FAILED, "--min-length"),
    ("run tiny.onnx --max-copy 5", FAILED, "--max-copy"),
    ("run tiny.onnx --resample 5", USAGE, "--resample"),
    ("run tiny.onnx --prompt xyz", FAILED, "x'"),
    ("run tiny.onnx --prompt a --prompt-file b", USAGE, "--prompt-file"),
    ("run tiny.onnx --prompt a --prompt b", USAGE, "--prompt"),
    ("run tiny.onnx --prompts a --prompt b", USAGE, "--prompt"),
    ("run tiny.onnx --prompt ''", FAILED, "--prompt"),
    ("run tiny.onnx --prompt", USAGE, "--prompt"),
    ("run tiny.onnx --match -?a", USAGE, "--match"),
    ("run tiny.onnx --length=--", USAGE, "--length"),
    ("run tiny.onnx --count 0", USAGE, "--count"),
    ("run tiny.onnx --seed -1", USAGE, "--seed"),
    ("run tiny.onnx --threads 0", USAGE, "--threads"),
    ("run tiny.onnx --unknown keep", USAGE, "--unknown"),
    ("run tiny.onnx --json --separator x", USAGE, "--separator"),
    ("run tiny.onnx -- --seed 1", USAGE, "--seed"),
    ("run --temp 1 tiny.onnx", USAGE, "tiny.onnx"),
    ("run --choices a tiny.onnx", USAGE, "MODEL"),
    ("run tiny.onnx --min-length 5 --choices a", USAGE, "--choices"),
    ("run tiny.onnx --raw --count 2", USAGE, "--count"),
    ("run tiny.onnx --raw --temp 1 2", USAGE, "--temp"),
    ("run tiny.onnx --raw --lowercase", USAGE, "--lowercase"),
    ("run tiny.onnx --raw --json", USAGE, "--json"),
    ("run tiny.onnx --raw --explain", USAGE, "--raw"),
    ("run tiny.onnx --prompt-file none.txt", FAILED, "none.txt"),
    ("run tiny.onnx --novel none.txt", FAILED, "none.txt"),
    ("run tiny.onnx --raw", FAILED, "--raw"),
    ("run tiny.onnx --explain --json", USAGE, "--json"),
    ("run tiny.onnx --explain --length 5", USAGE, "--length"),
    ("run tiny.onnx --explain --resample 5 --match a", USAGE, "--resample"),
    ("run tiny.onnx --explain --prompts x", USAGE, "--prompts"),
    ("run tiny.onnx --interactive --unique", USAGE, "--unique"),
    ("run tiny.onnx --interactive --stats", USAGE, "--stats"),
    ("run tiny.onnx --interactive --threads 2", USAGE, "--threads"),
    ("run tiny.onnx --interactive --count 2", USAGE, "--count"),
    ("run tiny.onnx --interactive --temp 1 2", USAGE, "--temp"),
    ("run tiny.onnx --interactive --prompt xyz", FAILED, "x'"),
    ("run tiny.onnx --prompts - --novel -", USAGE, "standard input"),
    ("run tiny.onnx --prompt-file - --novel -", USAGE, "standard input"),
    ("run tiny.onnx --json-schema - --prompts -", USAGE, "standard input"),
    ("run tiny.onnx --json-schema - --interactive", USAGE, "standard input"),
    ("run tiny.onnx --prompts empty.txt", FAILED, "empty.txt"),
    ("run tiny.onnx --prompts prompts.txt", FAILED, "prompts.txt, line 3: "),
    ("run tiny.onnx --prompt-file empty.txt", FAILED, "empty.txt"),
    ("run tiny.onnx --prompt=--", FAILED, "'-'"),
    (f"run tiny.onnx --seed {2**128}", USAGE, "--seed"),
    ("run folder", FAILED, "folder"),
    ("run 'no\nsuch.onnx'", FAILED, "no\\nsuch.onnx"),
    ("run word.onnx --raw", FAILED, "words"),
    ("eval folder known.txt", FAILED, "folder"),
    ("eval tiny.onnx", USAGE, "TEXT"),
    ("eval tiny.onnx none.txt", FAILED, "none.txt"),
    ("eval tiny.onnx latin.txt", FAILED, "latin.txt"),
    ("eval tiny.onnx empty.txt", FAILED, "empty.txt"),
    ("eval tiny.onnx book.txt", FAILED, "book.txt"),
    ("eval tiny.onnx one.txt", FAILED, "one.txt"),
    ("eval tiny.onnx - known.txt -", USAGE, "standard input"),
    ("eval tiny.onnx known.txt --last 0", USAGE, "--last"),
    ("eval tiny.onnx known.txt --last 2", USAGE, "--last"),
    ("eval tiny.onnx known.txt --engine x", USAGE, "--engine"),
    ("eval tiny.onnx known.txt --surprise -", USAGE, "--surprise"),
    ("eval tiny.onnx known.txt --surprise none/page.html", FAILED, "none/page.html"),
    ("eval tiny.onnx known.txt --surprise tiny.onnx", FAILED, "tiny.onnx"),
    ("eval tiny.onnx known.txt --surprise book.txt", FAILED, "book.txt"),
    ("info", USAGE, "MODEL"),
    ("info damaged.onnx", FAILED, "damaged.onnx"),
    ("info tiny.onnx --jsn", USAGE, "--jsn"),
    ("info tiny.onnx --match Z", FAILED, "Z"),
    ("info tiny.onnx --match a --choices b", FAILED, "--choices"),
    ("bench none.onnx", FAILED, "none.onnx"),
    ("bench tiny.onnx --section speed", USAGE, "--section"),
    ("bench tiny.onnx --temp 0", USAGE, "--temp"),
    ("bench tiny.onnx --seconds inf", USAGE, "--seconds"),
    ("bench tiny.onnx --json tiny.onnx", FAILED, "tiny.onnx"),
    ("bench tiny.onnx --json none/file", FAILED, "none/file"),
    ("serve tiny.onnx --port x", USAGE, "--port"),
    ("serve tiny.onnx --api-key-file none.txt", FAILED, "none.txt"),
    ("serve tiny.onnx --api-key-file empty.txt", FAILED, "empty.txt"),
    ("serve tiny.onnx --api-key-file prompts.txt", FAILED, "key 2: a key must"),
    ("serve tiny.onnx --host a..", FAILED, "a.."),
    ("serve tiny.onnx --host \udcff", FAILED, "port 8000"),
    ("serve tiny.onnx --host 192.0.2.1", FAILED, "192.0.2.1"),
    ("serve tiny.onnx --allow-origin example.org", USAGE, "--allow-origin"),
    ("serve tiny.onnx --allow-origin https://example.org/", USAGE, "--allow-origin"),
    ("serve tiny.onnx --threads 0", USAGE, "--threads"),
    ("serve tiny.onnx --max-length 0", USAGE, "--max-length"),
    ("serve tiny.onnx --max-users 0", USAGE, "--max-users"),
    ("serve tiny.onnx --max-queue -1", USAGE, "--max-queue"),
    ("serve tiny.onnx --max-body 0", USAGE, "--max-body"),
    ("serve tiny.onnx --port 65536", USAGE, "--port"),
    ("serve tiny.onnx --grace -1", USAGE, "--grace"),
    ("serve tiny.onnx --client-timeout 0", USAGE, "--client-timeout"),
    ("embed tiny.onnx", USAGE, "--output"),
    ("embed tiny.onnx -o out --name 2a", USAGE, "--name"),
    ("embed tiny.onnx -o out --name a-b", USAGE, "--name"),
    ("embed tiny.onnx -o out --name textgen", USAGE, "--name"),
    ("embed tiny.onnx -o out --name math", USAGE, "--name"),
    ("embed conv.onnx -o out", FAILED, "conv.onnx"),
    ("web conv.onnx -o out", FAILED, "conv.onnx"),
    ("web damaged.onnx -o out", FAILED, "damaged.onnx"),
    ("embed damaged.onnx -o out", FAILED, "damaged.onnx"),
    ("embed tiny.onnx -o book.txt", FAILED, "book.txt"),
    ("web tiny.onnx -o book.txt", FAILED, "book.txt"),
    ("web tiny.onnx -o book.txt/site", FAILED, "book.txt/site"),
    ("web tiny.onnx -o out --novel known.txt", FAILED, "--novel"),
    ("web tiny.onnx -o out --abcjs book.txt", FAILED, "--abcjs"),
    ("train", USAGE, "CORPUS"),
    ("train none.txt", FAILED, "none.txt"),
    ("train empty.txt", FAILED, "empty.txt"),
    ("train book.txt --minutes 0", USAGE, "--minutes"),
    ("train book.txt --extend", USAGE, "--extend"),
    ("train book.txt --from none.onnx", FAILED, "none.onnx"),
    ("train --resume folder", FAILED, "folder"),
    ("compare", USAGE, "FOLDER"),
    ("compare none", FAILED, "none"),
    ("quantize tiny.onnx", USAGE, "--output"),
    ("quantize conv.onnx -o out.onnx", FAILED, "conv.onnx"),
    ("quantize tiny.onnx -o book.txt", FAILED, "book.txt"),
]
IN_C = [
    ("", USAGE, "model"),
    ("none.onnx", FAILED, "none.onnx"),
    ("book.txt", FAILED, "book.txt"),
    ("tiny.onnx abc --warmth 1", USAGE, "--warmth"),
    ("tiny.onnx abc --temp", USAGE, "--temp"),
    ("tiny.onnx abc --length 0", USAGE, "--length"),
    ("tiny.onnx abc --stop ''", USAGE, "--stop"),
    ("tiny.onnx abc --mirostat-tau 1 --top-k 2", USAGE, "top"),
    ("tiny.onnx abc --stop x", FAILED, "x'"),
    ("tiny.onnx xyz", FAILED, "x'"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the files of the rows."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TINY, "tiny.onnx")
    for name in ("conv.onnx", "word.onnx"):
        shutil.copy(FORMAT_2 / name, name)
    Path("damaged.onnx").write_bytes(TINY.read_bytes()[:-9])
    Path("book.txt").write_text("Do re mi fa sol la si do.\n" * 40, encoding="utf-8")
    Path("known.txt").write_text("abcd dad had abc", encoding="utf-8")
    Path("one.txt").write_text("a", encoding="utf-8")
    Path("latin.txt").write_bytes("é".encode("latin-1") * 200)
    Path("empty.txt").touch()
    Path("prompts.txt").write_text("abc\n\nx yz\n", encoding="utf-8")
    Path("folder").mkdir()


def check(done: tuple[int, str, str], code: int, culprit: str) -> None:
    """Check the status, that nothing is written, and that one line names the culprit."""
    assert done[:2] == (code, ""), done[2]
    assert done[2].count("\n") == 1
    assert culprit in done[2].partition(" error: ")[2]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("line", "code", "culprit"), ROWS)
def test_an_error_is_one_line_that_names_the_culprit(
    capsys: Captured, line: str, code: int, culprit: str
) -> None:
    command, *words = shlex.split(line)
    module = TRAINING.get(command, f"textgen_runtime.cli.{command}")
    check(run_here(import_module(module).main, capsys, *words), code, culprit)
    assert {"out", "out.onnx"}.isdisjoint(path.name for path in Path().iterdir())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("line", "code", "culprit"), IN_C)
def test_the_command_in_c_does_the_same(
    build: Build, objects: Path, line: str, code: int, culprit: str
) -> None:
    command = [str(link_command(build, objects)), *shlex.split(line)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    check((done.returncode, done.stdout, done.stderr), code, culprit)
