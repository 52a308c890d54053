"""``textgen-run`` with models of records, bytes and words."""

import json
import math
from pathlib import Path

import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.cli import texts
from textgen_runtime.cli.run import main
from textgen_runtime.cli.texts import Text
from textgen_runtime.model_file import PROMPTS_KEY
from textgen_runtime.text import SEPARATORS, RecordKind

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import FORMAT_2
from tests.helpers.record_models import LEVELS, record_content, record_model


def run(
    capsys: Captured, folder: Path, *arguments: str, level: str = "character", kind: RecordKind = "lines"
) -> tuple[int, str, str]:
    path = folder / "names.onnx"
    path.write_bytes(record_content(level, kind, 2.0))
    return run_here(main, capsys, str(path), "--temp", "1", *arguments)


def test_a_known_record_of_bytes_that_are_not_utf8_is_not_new(capsys: Captured, tmp_path: Path) -> None:
    drawn = record_model("byte", end_bias=2.0).generate([""] * 300, seed=1, temperature=1.0)
    known = next(t for t in drawn if "\ufffd" in t and t == t.lower() and t.isprintable() and len(t) < 9)
    content = b"".join(b"\xff" if character == "\ufffd" else character.encode() for character in known)
    (tmp_path / "corpus.txt").write_bytes(b"other\n" + content)
    options = ("--count", "100", "--seed", "1", "--json")
    _, out, _ = run(capsys, tmp_path, *options, level="byte")
    found = [json.loads(line)["text"] for line in out.splitlines()]
    novel = ("--novel", str(tmp_path / "corpus.txt"), "--unique")
    code, out, err = run(capsys, tmp_path, *options, *novel, level="byte")
    assert (code, err) == (0, "")
    assert known in found
    assert known not in [json.loads(line)["text"] for line in out.splitlines()]


@pytest.mark.parametrize("level", LEVELS)
def test_records_are_printed_as_in_a_corpus(level: str, capsys: Captured, tmp_path: Path) -> None:
    for kind, separator in SEPARATORS.items():
        drawn = record_model(level, kind=kind, end_bias=2.0).generate([""] * 30, seed=1, temperature=1.0)
        expected = separator.join([text for text in drawn if text][:20]) + "\n"
        code, out, err = run(capsys, tmp_path, "--count", "20", "--seed", "1", level=level, kind=kind)
        assert (code, out, err) == (0, expected, "")


def test_prompts_begin_records(capsys: Captured, tmp_path: Path) -> None:
    model = record_model(end_bias=2.0)
    drawn = model.generate(["ab"] * 3, seed=1, temperature=1.0)
    code, out, err = run(capsys, tmp_path, "--count", "3", "--seed", "1", "--prompt", "ab")
    assert (code, out, err) == (0, "".join(f"ab{text}\n" for text in drawn), "")
    (tmp_path / "prompts.txt").write_text("a\nb\n")
    code, out, _ = run(capsys, tmp_path, "--prompts", str(tmp_path / "prompts.txt"), "--seed", "1")
    assert (code, [line[:1] for line in out.splitlines()]) == (0, ["a", "b"])


def test_a_record_begins_without_an_excerpt_even_if_the_file_has_some(
    capsys: Captured, tmp_path: Path
) -> None:
    model = onnx.load_from_string(record_content(end_bias=2.0))
    next(entry for entry in model.metadata_props if entry.key == PROMPTS_KEY).value = '["cab"]'
    path = tmp_path / "names.onnx"
    path.write_bytes(model.SerializeToString())
    text = textgen.load(path).generate(seed=1, temperature=1.0)
    assert run_here(main, capsys, str(path), "--temp", "1", "--seed", "1") == (0, f"{text}\n", "")


def test_a_stop_text_that_a_model_of_words_may_miss_is_a_warning(capsys: Captured) -> None:
    options = ("--prompt", "ab", "--stop", "a", "--stop", "\\n", "--length", "9")
    message = (
        "textgen-run: warning: the stop text 'a' may be missed, because the model draws whole words: use "
        "line ends or ASCII punctuation marks alone\n"
    )
    code, _, err = run_here(main, capsys, str(FORMAT_2 / "word.onnx"), *options)
    assert (code, err) == (0, message)
    code, _, err = run_here(main, capsys, str(FORMAT_2 / "byte.onnx"), *options)
    assert (code, err) == (0, "")


def test_each_temperature_has_one_heading(capsys: Captured, tmp_path: Path) -> None:
    code, out, _ = run(capsys, tmp_path, "--temp", "0.5", "1.5", "--count", "2", "--allowed", "a")
    lines = out.splitlines()
    assert code == 0
    assert [lines[0], lines[3]] == ["------ temperature: 0.5", "------ temperature: 1.5"]
    assert len(lines) == 6


def test_the_end_of_a_record_counts_among_the_characters_of_any_tokens(
    capsys: Captured, tmp_path: Path
) -> None:
    path = tmp_path / "names.onnx"
    path.write_bytes(record_content("byte", end_bias=4.0))
    _, out, _ = run_here(main, capsys, str(path), "--json", "--seed", "1", "--temp", "1")
    written = json.loads(out)
    assert (written["ending"], written["prompt"], len(written["text"]) > 0) == ("end", "", True)
    model = textgen.load(path)
    generation, batch = model.start(seed=1, temperature=1.0), textgen.Batch(model)
    generation.keep_logprobs = True
    batch.add(generation, 1000)
    (chunk,) = batch.advance(1000)
    assert chunk.logprobs is not None
    assert written["tokens"] == len(chunk.logprobs)
    bits = -math.fsum(chunk.logprobs) / math.log(2)
    assert written["bits_per_character"] == pytest.approx(bits / (len(written["text"]) + 1))


def test_unique_and_novel_compare_records(capsys: Captured, tmp_path: Path) -> None:
    model = record_model(end_bias=2.0)
    drawn = model.generate([""] * 300, seed=1, temperature=1.0)
    short = sorted({text for text in drawn if len(text) < 3 and text.isalpha()})
    corpus = tmp_path / "corpus.txt"
    # A record that is a part of another one is new.
    corpus.write_text("\n".join([short[0], *(f"{text}x" for text in short[1:])]), encoding="utf-8")
    options = ("--count", "40", "--seed", "1", "--json", "--unique", "--novel", str(corpus))
    code, out, err = run(capsys, tmp_path, *options)
    found = [json.loads(line)["text"] for line in out.splitlines()]
    assert (code, err, len(found)) == (0, "", 40)
    assert len(set(found)) == 40
    assert "" in drawn
    assert not {"", short[0]} & {*found}
    assert {*short[1:]} & {*found}


def test_a_record_is_written_while_it_is_drawn(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, take = list[str](), Text.take

    def taken(text: Text) -> str:
        parts.append(text.text)
        return take(text)

    monkeypatch.setattr(Text, "take", taken)
    monkeypatch.setattr(texts, "STREAM_CHUNK", 1)
    _, out, _ = run(capsys, tmp_path, "--min-length", "9", "--seed", "1")
    assert len(parts) >= 8
    assert out == "".join(parts) + "\n"


def test_a_model_that_writes_only_empty_records_gives_up(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "names.onnx"
    path.write_bytes(record_content(end_bias=99.0))
    code, out, err = run_here(main, capsys, str(path), "--stats")
    assert (code, out) == (1, "")
    assert "\ntexts               0 of 1,000 drawn; 1,000 are empty\n" in err
    assert err.endswith("found only 0 of 1 texts: 1,000 drawn in a row are empty\n")


def test_a_prompt_that_ends_at_once_is_a_record(capsys: Captured, tmp_path: Path) -> None:
    options = ("--prompt", "a", "--count", "30", "--seed", "1", "--unique", "--json")
    code, out, _ = run(capsys, tmp_path, *options)
    assert code == 0
    assert "" in [json.loads(line)["text"] for line in out.splitlines()]


def test_the_end_has_a_bar(capsys: Captured, tmp_path: Path) -> None:
    code, out, _ = run(capsys, tmp_path, "--explain")
    assert code == 0
    assert out.startswith("First character\n")
    assert "<end>" in out


def test_records_can_have_another_separator(capsys: Captured, tmp_path: Path) -> None:
    code, out, _ = run(capsys, tmp_path, "--separator", "|", "--count", "3", "--seed", "2")
    assert (code, out.count("|")) == (0, 2)
