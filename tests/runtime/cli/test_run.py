"""``textgen-run``: the forms of its texts, equal to ``Model.generate``, and its one-line errors."""

import io
import itertools
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, Sampling, __version__, bundled_models
from textgen_runtime.cli import texts
from textgen_runtime.cli.run import main, parser
from textgen_runtime.cli.texts import Text
from textgen_runtime.engine import Lane
from textgen_runtime.model import Batch
from textgen_runtime.model_file import NORMALIZATION_KEY, PROMPTS_KEY
from textgen_runtime.score import predict

from tests.helpers.byte_models import accented_content
from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.record_models import LEVELS, record_content, record_model
from tests.helpers.run_command import CASE_UNCHANGED, run, tiny_with

MODELS = {
    "characters": TINY.read_bytes(),
    "bytes": (FORMAT_2 / "byte.onnx").read_bytes(),
    "words": (FORMAT_2 / "word.onnx").read_bytes(),
    **{f"lines of {level}s": record_content(level, "lines", 2.0) for level in LEVELS},
    "blank": record_content("character", "blank", 2.0),
}
KEYS = ["text", "prompt", "seed", "substream", "sampling", "ending", "tokens", "bits_per_character"]
Written: TypeAlias = list[tuple[str, str, str]]

# Each separator as an option, as it is written, and the end of the output.
SEPARATORS = {r"\n--\n": ("\n--\n", "\n"), "": ("", "\n"), r"\0": ("\0", "\0"), r"\t\\0": ("\t\\0", "\n")}


def written(model: Model, prompts: Sequence[str | None], count: int, chosen: Sequence[Sampling]) -> Written:
    """Return the parts of each heading, the prompts and the texts that the command should write."""
    found: Written = []
    for sampling in chosen:
        heading = f"temperature: {sampling.temperature}" if len(chosen) > 1 else ""
        numbered = [(number, prompt) for number, prompt in enumerate(prompts, 1) for _ in range(count)]
        starts = [model.default_prompt(5, i) if one is None else one for i, (_, one) in enumerate(numbered)]
        drawn = model.generate(starts, seed=5, length=12, sampling=sampling)
        for i, (start, text) in enumerate(zip(starts, drawn, strict=True)):
            prompt = f"prompt {numbered[i][0]} of {len(prompts)}" if len(prompts) > 1 else ""
            place = f"text {i % count + 1} of {count}" if count > 1 else ""
            parts = [heading, prompt, place]
            if model.metadata.records is not None:
                parts = [heading] if i == 0 else []
            found.append((", ".join(filter(None, parts)), start, text))
    return found


@pytest.mark.parametrize("form", ["headings", "json", *SEPARATORS])
@pytest.mark.parametrize("kind", MODELS)
def test_the_texts_are_those_of_generate(capsys: Captured, tmp_path: Path, kind: str, form: str) -> None:
    all_prompts: list[list[str | None]] = [[None], ["ab"], ["a", "cab", "ab"]]
    cases = itertools.product(all_prompts, (1, 3), [[1.0], [0.5, 1.5]])
    for number, (prompts, count, temperatures) in enumerate(cases):
        if form not in SEPARATORS or number % 4 == len(kind) % 4:
            check_texts(capsys, tmp_path, kind, prompts, count, temperatures, form, echo=number % 3 > 0)


def check_texts(  # noqa: PLR0913, PLR0917 (a product)
    capsys: Captured,
    tmp_path: Path,
    kind: str,
    prompts: list[str | None],
    count: int,
    temperatures: list[float],
    form: str,
    *,
    echo: bool,
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(MODELS[kind])
    (tmp_path / "prompts.txt").write_bytes("\ufeff{}\r\n\n".format("\r\n\n".join(map(str, prompts))).encode())
    model = textgen.load(path)
    has_records = model.metadata.records is not None
    # Without empty records, which are no texts.
    options: dict[str, Any] = {"min_length": 1, "allowed": "abc"} if has_records else {"top_p": 0.99}
    chosen = [Sampling(temperature=temperature, **options) for temperature in temperatures]
    words = ["--temp", *map(str, temperatures), "--length", "12", "--seed", "5", "--count", str(count)]
    words += ["--min-length", "1", "--allowed", "abc"] if has_records else ["--top-p", "0.99"]
    words += ["--no-echo"] * (not echo)
    if prompts[0] is not None:
        words += ["--prompts", str(tmp_path / "prompts.txt")] if prompts[1:] else ["--prompt", prompts[0]]
    words += ["--json"] if form == "json" else [] if form == "headings" else [f"--separator={form}"]
    code, out, err = run_here(main, capsys, str(path), *words)
    assert (code, err) == (0, "")
    expected = written(model, prompts, count, chosen)
    shown = [start * echo + text for _, start, text in expected]
    if form == "headings":
        between = "\n" * (1 + (kind == "blank"))
        headings = [f"------ {heading}\n" * bool(heading) for heading, *_ in expected]
        headed = [heading + one for heading, one in zip(headings, shown, strict=True)]
        assert out == between.join(headed) + "\n"
        return
    if form != "json":
        separator, end = SEPARATORS[form]
        assert out == separator.join(shown) + end
        return
    found = [json.loads(line) for line in out.splitlines()]
    assert [(text["prompt"], text["text"]) for text in found] == [
        (start, text) for _, start, text in expected
    ]
    for i, text in enumerate(found):
        assert list(text) == KEYS
        assert text["substream"] == i % (len(prompts) * count)
        sampling = Sampling(**text["sampling"])
        assert sampling == chosen[i // (len(prompts) * count)]
        start = model.start(text["prompt"], seed=text["seed"], substream=text["substream"], sampling=sampling)
        assert (start.take(12, finish=True), start.ending) == (text["text"], text["ending"])


def test_the_defaults(capsys: Captured, tiny: Model) -> None:
    code, out, err = run(capsys, "--seed", "1")
    assert (code, err) == (0, "")
    assert out == "dad had" + tiny.generate(length=400, temperature=0.5, seed=1) + "\n"


def test_bits_per_character_are_the_surprisal_under_the_model(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the sampling and the chunks are: the model scores the same characters equally."""
    model = textgen.load(TINY)
    advance = Batch.advance
    monkeypatch.setattr(Batch, "advance", lambda batch, _: advance(batch, 3))
    options = ("--temp", "2", "--banned", "a", "--stop", "ed", "--count", "30", "--length", "20")
    _, out, _ = run(capsys, *options, "--json", "--prompt", "dad", "--seed", "3")
    found = [json.loads(line) for line in out.splitlines()]
    assert {text["ending"] for text in found} == {"length", "stop"}
    for text in found:
        drawn = text["text"] + "ed" * (text["ending"] == "stop")
        assert text["tokens"] == len(drawn)
        surprisals = predict(model, "dad" + drawn).surprisals[-len(drawn) :]
        assert text["bits_per_character"] == pytest.approx(surprisals.mean() / math.log(2), rel=1e-5)
    _, out, _ = run(capsys, "--choices", "", "--json")
    empty = json.loads(out)
    assert (empty["tokens"], empty["bits_per_character"], empty["ending"]) == (0, None, "constraint")


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


def test_the_end_of_a_record_counts_among_the_characters(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "names.onnx"
    path.write_bytes(record_content("byte", end_bias=4.0))
    _, out, _ = run_here(main, capsys, str(path), "--json", "--seed", "1", "--temp", "1")
    text = json.loads(out)
    assert (text["ending"], text["prompt"], len(text["text"]) > 0) == ("end", "", True)
    generation = textgen.load(path).start(seed=1, temperature=1.0)
    generation.keep_logprobs = True
    batch = Batch(generation.model)
    batch.add(generation, 1000)
    (chunk,) = batch.advance(1000)
    assert chunk.logprobs is not None
    assert text["tokens"] == len(chunk.logprobs)
    bits = -math.fsum(chunk.logprobs) / math.log(2)
    assert text["bits_per_character"] == pytest.approx(bits / (len(text["text"]) + 1))


@pytest.mark.parametrize("terminal", [True, False])
def test_json_is_one_valid_line_whatever_the_characters_are(
    capsys: Captured, tmp_path: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "controls.onnx"
    path.write_bytes(make_model('\0\x1b\n"\\\x7f\x85\u2028éж').SerializeToString())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    options = ("--prompt", "é", "--temp", "3", "--length", "400", "--seed", "1", "--json")
    code, out, err = run_here(main, capsys, str(path), *options)
    assert (code, err, len(out.splitlines())) == (0, "", 1)
    assert out.removesuffix("\n").isprintable()
    assert json.loads(out)["text"] == textgen.load(path).generate("é", temperature=3, length=400, seed=1)
    assert {"é", "ж"} < set(out)


def test_json_is_utf_8_in_any_locale() -> None:
    program = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, str(TINY), "--prompt", "é𝄞", "--json"],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert (done.stderr, json.loads(done.stdout.decode())["prompt"]) == (b"", "é𝄞")
    assert "é𝄞".encode() in done.stdout


@pytest.fixture
def byte_path(tmp_path: Path) -> str:
    """A file with a model of bytes that writes parts of characters."""
    path = tmp_path / "bytes.onnx"
    path.write_bytes(accented_content())
    return str(path)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_raw_output_is_the_drawn_bytes(
    capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path, byte_path: str, engine: str
) -> None:
    prompt = bytes([0, 0xFF, 0xC3, 10])
    (tmp_path / "prompt.bin").write_bytes(prompt)
    for length in range(1, 9):
        options = ("--prompt-file", str(tmp_path / "prompt.bin"), "--length", str(length), "--engine", engine)
        assert main([byte_path, "--raw", "--seed", "1", "--temp", "1", *options]) == 0
        raw = prompt.decode("utf-8", "surrogateescape")
        generation = textgen.load(byte_path).start(raw, seed=1, temperature=1.0)
        (drawn,) = generation.model.engine.generate([Lane(generation.position, length)], length)
        held = generation.position.finish(complete=False)
        assert capsysbinary.readouterr().out == prompt + drawn.text + held


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

    def raw(*more: str) -> bytes:
        assert main([*options, *more]) == 0
        return capsysbinary.readouterr().out

    free = raw()
    corpus.write_bytes(free)
    assert raw("--novel", str(corpus)) != free
    few = raw("--novel", str(corpus), "--max-copy", "3")
    assert (few[:3], few[3] != free[3]) == (free[:3], True)


def test_raw_output_is_not_for_terminals(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, byte_path: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = run_here(main, capsys, byte_path, "--raw")
    assert (code, out, "--raw" in err) == (1, "", True)


@pytest.mark.parametrize("content", ["dad\n", "\ufeffdad\r\n", "DAD"])
def test_a_prompt_from_a_file(capsys: Captured, tmp_path: Path, content: str) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes(content.encode())
    _, expected, _ = run(capsys, "--prompt", "dad", "--seed", "1")
    assert run(capsys, "--prompt-file", str(path), "--seed", "1") == (0, expected, "")


@pytest.mark.parametrize(("option", "prompt"), [("--prompt-file", "dad\n"), ("--prompts", "dad")])
def test_a_prompt_from_standard_input(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, option: str, prompt: str
) -> None:
    _, expected, _ = run(capsys, "--prompt", prompt, "--seed", "1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"dad\n\n")))
    assert run(capsys, option, "-", "--seed", "1") == (0, expected, "")


def test_skipped_characters_of_all_prompts_are_counted(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("axb\nabc\nxya\n")
    options = ("--prompts", str(path), "--unknown", "skip", "--length", "4", "--separator", "")
    _, out, err = run(capsys, *options)
    assert (err.count("\n"), "warning: 3 " in err, "'x'" in err, "'y'" in err) == (1, True, True, True)
    assert out.startswith("ab")


def test_lowercase_converts_the_prompt(capsys: Captured, tmp_path: Path) -> None:
    """The model has no capital letters, and its normalization does not convert them."""
    path = tmp_path / "lower.onnx"
    path.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    assert run_here(main, capsys, str(path), "--prompt", "Dad", "--seed", "1")[0] == 1
    expected = run_here(main, capsys, str(path), "--prompt", "dad", "--seed", "1")
    assert run_here(main, capsys, str(path), "--prompt", "Dad", "--seed", "1", "--lowercase") == expected
    (tmp_path / "prompt.txt").write_text("DAD\n")
    options = ("--prompt-file", str(tmp_path / "prompt.txt"), "--seed", "1", "--lowercase")
    assert run_here(main, capsys, str(path), *options) == expected


def test_a_model_without_prompts_needs_one(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_with(PROMPTS_KEY, "[]"))
    for options in ((), ("--explain",)):
        code, out, err = run_here(main, capsys, str(tmp_path / "model.onnx"), *options)
        assert (code, out, err.count("\n")) == (1, "", 1)
    assert run_here(main, capsys, str(tmp_path / "model.onnx"), "--prompt", "abc")[0] == 0


def test_a_stop_text_that_a_model_of_words_may_miss_is_a_warning(capsys: Captured) -> None:
    options = ("--prompt", "ab", "--stop", "a", "\\n", "--length", "9")
    for level, warnings in (("word", 1), ("byte", 0)):
        code, _, err = run_here(main, capsys, str(FORMAT_2 / f"{level}.onnx"), *options)
        assert (code, err.count("warning"), err.count("'a'")) == (0, warnings, warnings)


@pytest.mark.parametrize("level", ["character", "byte"])
def test_unique_and_novel_compare_records(capsys: Captured, tmp_path: Path, level: str) -> None:
    """A record that is a part of another one is new. The corpus has bytes that are not UTF-8."""
    model, path, corpus = tmp_path / "m.onnx", record_content(level, end_bias=2.0), tmp_path / "corpus.txt"
    model.write_bytes(path)
    drawn = record_model(level, end_bias=2.0).generate([""] * 300, seed=1, temperature=1.0)
    short = [text for text in drawn if 0 < len(text) < 9 and text == text.lower() and text.isprintable()]
    known = next(text for text in short if level == "character" or "\ufffd" in text)
    content = b"".join(b"\xff" if symbol == "\ufffd" else symbol.encode() for symbol in known)
    corpus.write_bytes(content + "".join(f"\n{text}x" for text in short if text != known).encode())
    options = ("--count", "100", "--seed", "1", "--temp", "1", "--json", "--unique", "--novel", str(corpus))
    code, out, err = run_here(main, capsys, str(model), *options)
    found = [json.loads(line)["text"] for line in out.splitlines()]
    assert (code, err, len(found), len(set(found))) == (0, "", 100, 100)
    assert not {"", known} & {*found}
    assert {*short} & {*found}


def test_empty_records_are_no_texts_but_a_prompt_may_end_at_once(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "names.onnx"
    path.write_bytes(record_content(end_bias=99.0))
    code, out, err = run_here(main, capsys, str(path), "--stats")
    assert (code, out) == (1, "")
    assert re.search(r"\ntexts +0 of 1,000 drawn; 1,000 are empty\n", err)
    assert err.endswith("found only 0 of 1 texts: 1,000 drawn in a row are empty\n")
    assert run_here(main, capsys, str(path), "--prompt", "a", "--unique") == (0, "a\n", "")


def test_a_record_is_written_while_it_is_drawn(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, take = list[str](), Text.take

    def taken(text: Text) -> str:
        parts.append(text.text)
        return take(text)

    monkeypatch.setattr(Text, "take", taken)
    monkeypatch.setattr(texts, "STREAM_CHUNK", 1)
    path = tmp_path / "names.onnx"
    path.write_bytes(record_content(end_bias=2.0))
    _, out, _ = run_here(main, capsys, str(path), "--temp", "1", "--min-length", "9", "--seed", "1")
    assert len(parts) >= 8
    assert out == "".join(parts) + "\n"


def test_statistics_print_the_seed_that_reproduces_the_text(capsys: Captured) -> None:
    options = ("--length", "90", "--prompt", "abc", "--temp", "0", "1")
    code, text, err = run(capsys, "--stats", *options)
    values = [re.split(r"\s{2,}", line, maxsplit=1) for line in err.splitlines()]
    assert (code, [name for name, _ in values]) == (0, ["engine", "seed", "speed"])
    seed, speed = values[1][1], values[2][1]
    assert run(capsys, "--seed", seed, *options)[1] == text
    assert re.fullmatch(r"[\d,]+ characters/s", speed)


def test_models_help_and_version_are_written_to_standard_output(capsys: Captured) -> None:
    assert run_here(main, capsys, "--list") == (0, "".join(f"{name}\n" for name in bundled_models()), "")
    assert run(capsys, "--version") == (0, f"textgen-run {__version__}\n", "")
    assert run_here(main, capsys, "no-such-model.onnx", "--help") == (0, parser().format_help(), "")


@pytest.mark.parametrize("option", ["--length", "--temp", "--engine", "--unheard-of", "--seed"])
@pytest.mark.parametrize("value", ["x" * 100_000, "9" * 4000])
def test_a_long_argument_is_not_repeated(capsys: Captured, option: str, value: str) -> None:
    code, _, err = run(capsys, option, value)
    assert (code, len(err) < 600) == (2, True)
