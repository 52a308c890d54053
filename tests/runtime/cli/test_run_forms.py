"""The forms of the texts of ``textgen-run``: a separator, and JSON Lines."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, Sampling
from textgen_runtime.cli.run import main
from textgen_runtime.engine import Lane
from textgen_runtime.model import Batch
from textgen_runtime.score import predict

from tests.helpers.byte_models import accented_content
from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.run_command import run

KEYS = ["text", "prompt", "seed", "substream", "sampling", "ending", "tokens", "bits_per_character"]


@pytest.mark.parametrize(
    ("separator", "output"),
    [
        (r"\n", "{0}\n{1}\n"),
        (r"\n--\n", "{0}\n--\n{1}\n"),
        (", ", "{0}, {1}\n"),
        ("", "{0}{1}\n"),
        (r"\0", "{0}\0{1}\0"),
        (r"\t\\0", "{0}\t\\0{1}\n"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--unique",)])
def test_a_separator_stands_between_the_texts(
    capsys: Captured, tiny: Model, separator: str, output: str, options: tuple[str, ...]
) -> None:
    texts = tiny.generate(["dad", "dad"], length=9, seed=1, temperature=1.0)
    arguments = ("--prompt", "dad", "--count", "2", "--length", "9", "--seed", "1", "--temp", "1")
    expected = output.format(*(f"dad{text}" for text in texts))
    assert run(capsys, *arguments, *options, "--separator", separator) == (0, expected, "")
    expected = output.format(*texts)
    assert run(capsys, *arguments, *options, "--separator", separator, "--no-echo") == (0, expected, "")


@pytest.fixture
def byte_path(tmp_path: Path) -> str:
    """A file with a model of bytes that writes parts of characters."""
    path = tmp_path / "bytes.onnx"
    path.write_bytes(accented_content())
    return str(path)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
@pytest.mark.parametrize("length", range(1, 9))
def test_raw_output_is_the_drawn_bytes(
    capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path, byte_path: str, engine: str, length: int
) -> None:
    prompt = bytes([0, 0xFF, 0xC3, 10])
    (tmp_path / "prompt.bin").write_bytes(prompt)
    options = ("--prompt-file", str(tmp_path / "prompt.bin"), "--length", str(length), "--engine", engine)
    assert main([byte_path, "--raw", "--seed", "1", "--temp", "1", *options]) == 0
    written = capsysbinary.readouterr().out
    generation = textgen.load(byte_path).start(
        prompt.decode("utf-8", "surrogateescape"), seed=1, temperature=1.0
    )
    (drawn,) = generation.model.engine.generate([Lane(generation.position, length)], length)
    assert written == prompt + drawn.text + generation.position.finish(complete=False)


def test_raw_output_can_differ_from_a_corpus(
    capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path, byte_path: str
) -> None:
    """The corpus has bytes that are not UTF-8, as the texts do."""
    options = (
        byte_path,
        "--raw",
        "--seed",
        "1",
        "--prompt",
        "a",
        "--no-echo",
        "--length",
        "40",
        "--temp",
        "1",
    )
    corpus = tmp_path / "corpus.bin"

    def written(*more: str) -> bytes:
        assert main([*options, *more]) == 0
        return capsysbinary.readouterr().out

    free = written()
    corpus.write_bytes(free)
    new = written("--novel", str(corpus))
    assert new != free
    few = written("--novel", str(corpus), "--max-copy", "3")
    assert few[:3] == free[:3]
    assert few[3] != free[3]


@pytest.mark.parametrize("level", ["character", "word"])
def test_raw_output_is_for_models_of_bytes(capsys: Captured, level: str) -> None:
    path = TINY if level == "character" else FORMAT_2 / "word.onnx"
    code, out, err = run_here(main, capsys, str(path), "--raw")
    assert (code, out) == (1, "")
    assert ("--raw" in err, f"{level}s" in err) == (True, True)


def test_raw_output_is_not_for_terminals(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, byte_path: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = run_here(main, capsys, byte_path, "--raw")
    assert (code, out, "--raw" in err) == (1, "", True)


def test_a_single_text_with_a_separator_ends_like_the_last_of_several(capsys: Captured) -> None:
    _, expected, _ = run(capsys, "--seed", "1")
    assert run(capsys, "--seed", "1", "--separator=--") == (0, expected, "")
    assert run(capsys, "--seed", "1", "--separator", r"\0") == (0, expected.removesuffix("\n") + "\0", "")


def test_a_separator_stands_between_temperatures_and_prompts_too(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    options = ("--prompts", str(tmp_path / "prompts.txt"), "--temp", "0", "1", "--length", "9")
    _, out, _ = run(capsys, *options, "--separator", "|")
    assert [part[:3] for part in out.split("|")] == ["abc", "dad", "abc", "dad"]


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_each_line_of_json_reproduces_its_text(capsys: Captured, engine: str) -> None:
    options = ("--temp", "0.5", "1.5", "--until-newline", "--top-p", "0.9", "--count", "40", "--length", "6")
    code, out, err = run(capsys, *options, "--json", "--seed", "3", "--engine", engine)
    assert (code, err) == (0, "")
    texts = [json.loads(line) for line in out.splitlines()]
    assert len(texts) == 80
    assert {text["ending"] for text in texts} == {"length", "stop"}
    model = textgen.load(TINY)
    for i, text in enumerate(texts):
        assert list(text) == KEYS
        assert text["substream"] == i % 40
        assert text["sampling"] == {"temperature": 0.5 + i // 40, "top_p": 0.9, "stop": ["\n"]}
        sampling = Sampling(**text["sampling"])
        generation = model.start(text["prompt"], seed=3, substream=text["substream"], sampling=sampling)
        assert generation.take(6, finish=True) == text["text"]
        assert generation.ending == text["ending"]
        assert text["tokens"] == len(text["text"]) + (text["ending"] == "stop")


def test_bits_per_character_are_the_surprisal_under_the_model(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the sampling and the chunks are: the model scores the same characters equally."""
    model = textgen.load(TINY)
    advance = Batch.advance
    monkeypatch.setattr(Batch, "advance", lambda batch, _: advance(batch, 3))
    options = ("--temp", "0.7", "--banned", "a", "--stop", "bb", "--count", "30", "--length", "20")
    _, out, _ = run(capsys, *options, "--json", "--prompt", "dad", "--seed", "3")
    for line in out.splitlines():
        text = json.loads(line)
        drawn = text["text"] + "bb" * (text["ending"] == "stop")
        surprisals = predict(model, "dad" + drawn).surprisals[-len(drawn) :]
        assert text["bits_per_character"] == pytest.approx(surprisals.mean() / math.log(2), rel=1e-5)


@pytest.mark.parametrize(("level", "stop"), [("word", "cab"), ("byte", "\u001e")])
def test_a_stop_text_counts_among_the_characters_of_any_tokens(
    capsys: Captured, level: str, stop: str
) -> None:
    path = FORMAT_2 / f"{level}.onnx"
    options = ("--stop", stop, "--count", "9", "--length", "40", "--prompt", "cab", "--seed", "3", "--json")
    texts, kept = (
        [json.loads(line) for line in run_here(main, capsys, str(path), *options, *more)[1].splitlines()]
        for more in ((), ("--keep-stop",))
    )
    # Half a character of several bytes before the stop text is a U+FFFD only if the stop text follows it.
    same = [(one, two) for one, two in zip(texts, kept, strict=True) if one["text"] + stop == two["text"]]
    assert len(same) > 1
    assert all(one["bits_per_character"] == two["bits_per_character"] for one, two in same)


def test_a_text_without_characters_has_no_bits_per_character(capsys: Captured) -> None:
    _, out, _ = run(capsys, "--choices", "", "--json")
    text = json.loads(out)
    assert (text["text"], text["tokens"], text["bits_per_character"]) == ("", 0, None)
    assert text["ending"] == "constraint"


def test_json_does_not_depend_on_echo_and_headings(capsys: Captured) -> None:
    _, out, _ = run(capsys, "--prompt", "abc", "--seed", "1", "--count", "2", "--json")
    assert run(capsys, "--prompt", "abc", "--seed", "1", "--count", "2", "--json", "--no-echo")[1] == out
    assert [json.loads(line)["prompt"] for line in out.splitlines()] == ["abc", "abc"]


@pytest.mark.parametrize("terminal", [True, False])
def test_json_is_one_valid_line_whatever_the_characters_are(
    capsys: Captured, tmp_path: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = '\0\x1b\n"\\\x7f\x85\u2028éж'
    path = tmp_path / "controls.onnx"
    path.write_bytes(make_model(symbols).SerializeToString())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    options = ("--prompt", "é", "--temp", "3", "--length", "400", "--seed", "1", "--json")
    code, out, err = run_here(main, capsys, str(path), *options)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert out.removesuffix("\n").isprintable()
    model = textgen.load(path)
    assert json.loads(out)["text"] == model.generate("é", temperature=3, length=400, seed=1)
    assert {"é", "ж"} < set(out)


def test_json_is_utf_8_in_any_locale() -> None:
    program = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, str(TINY), "--prompt", "é𝄞", "--json"],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.stderr == b""
    assert json.loads(done.stdout.decode())["prompt"] == "é𝄞"
    assert "é𝄞".encode() in done.stdout
