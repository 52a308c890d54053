"""``textgen-run --unique`` and ``--novel``: which texts are printed, and errors if there are too few."""

import json
import re
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli import _text_batch as drawing
from textgen_runtime.cli._requested_texts import PendingText
from textgen_runtime.cli._written_texts import TextWriter
from textgen_runtime.cli.run import main
from textgen_runtime.corpora.corpus import CorpusLookup
from textgen_runtime.model_file import NORMALIZATION_KEY

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY
from tests.helpers.record_models import record_content
from tests.helpers.run_command import CASE_UNCHANGED, lines, run, tiny_with

SHORT = ("--prompt", "abc", "--length", "2", "--temp", "1", "--seed", "1")
LINES = ("--until-newline", "--temp", "1", "--seed", "5", "--separator", "|")


def texts(count: int, length: int = 2, prompt: str = "abc", seed: int = 1) -> list[str]:
    """Return texts of the substreams 0, 1, ..., at temperature 1."""
    return textgen.load(TINY).generate([prompt] * count, length=length, seed=seed, temperature=1.0)


def test_no_text_is_printed_twice_and_headings_number_the_printed_texts(capsys: Captured) -> None:
    """The first occurrence of each text is printed, in the order of the substreams."""
    _, out, _ = run(capsys, *SHORT, "--count", "30", "--unique")
    distinct = list(dict.fromkeys(texts(200)))[:30]
    assert len(set(texts(30))) < 30
    assert out == "".join(f"------ text {i} of 30\nabc{text}\n" for i, text in enumerate(distinct, 1))


def test_texts_are_distinct_among_all_temperatures_and_prompts(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    prompts = ("--prompts", str(tmp_path / "prompts.txt"), "--count", "20", "--seed", "1")
    options = ("--length", "2", "--temp", "1", "1.5", "--unique", "--json")
    code, out, err = run(capsys, *prompts, *options)
    assert (code, err) == (0, "")
    printed = [json.loads(line) for line in out.splitlines()]
    assert [text["prompt"] for text in printed] == (["abc"] * 20 + ["dad"] * 20) * 2
    assert len({text["text"] for text in printed}) == 80
    # No two attempts with one sampling have the same random numbers.
    for half in (printed[:40], printed[40:]):
        assert len({text["substream"] for text in half}) == 40
        for prompt in (half[:20], half[20:]):
            assert prompt == sorted(prompt, key=lambda text: text["substream"])
        assert all(
            text["substream"] >= 40 or text["substream"] // 20 == i // 20 for i, text in enumerate(half)
        )


@pytest.mark.parametrize("keep", [(), ("--keep-stop",)])
def test_a_line_that_the_stop_text_cuts_short_stands_in_the_corpus(
    capsys: Captured, tmp_path: Path, keep: tuple[str, ...]
) -> None:
    options = ("--stop", "h\\n", "--temp", "2", "--prompt", "abc\n", "--seed", "1", "--count", "20", *keep)
    _, out, _ = run(capsys, *options, "--length", "60", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    known = {text["text"] for text in found if text["ending"] == "stop"}
    assert len(known) > 3
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join([text.removesuffix("h\n") + "h\n" for text in known]))
    _, out, _ = run(capsys, *options, "--length", "60", "--json", "--novel", str(corpus))
    assert known.isdisjoint(json.loads(line)["text"] for line in out.splitlines())


def test_an_echoed_prompt_distinguishes_texts(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    options = ("--prompts", str(tmp_path / "prompts.txt"), "--choices", "e", "--unique", "--separator", "|")
    assert run(capsys, *options) == (0, "abce|dade\n", "")
    code, out, _ = run(capsys, *options, "--no-echo")
    assert (code, out) == (1, "e\n")


def test_too_few_texts_are_an_error_that_says_how_many(capsys: Captured) -> None:
    options = ("--count", "1000", "--unique", "--separator", "|", "--no-echo", "--stats")
    code, out, err = run(capsys, *SHORT, *options)
    assert code == 1
    found = len(out.split("|"))
    # Two characters of twelve.
    assert 70 < found <= 144
    assert err.endswith(
        f"textgen-run: error: found only {found} of 1,000 texts, because 1,000 drawn in a row repeat another "
        "text: use a higher --temp, a greater --length, another prompt or a smaller --count\n"
    )
    match = re.search(r"texts +(\d+) of ([\d,]+) drawn", err)
    assert match
    assert int(match[1]) == found
    drawn = int(match[2].replace(",", ""))
    assert drawn > 1000 + found
    all_drawn = texts(drawn)
    assert out == "|".join(dict.fromkeys(all_drawn)) + "\n"
    assert set(all_drawn[-1000:]) <= set(all_drawn[:-1000])
    assert not set(all_drawn[-1001:]) <= set(all_drawn[:-1001])


def test_a_temperature_with_too_few_texts_does_not_stop_the_others(capsys: Captured) -> None:
    options = ("--length", "9", "--temp", "0", "1", "--count", "3", "--unique", "--no-echo")
    code, out, err = run(capsys, "--prompt", "abc", "--seed", "1", *options)
    assert code == 1
    assert [line for line in out.split("\n") if line.startswith("---")] == [
        "------ temperature: 0.0, text 1 of 3",
        *(f"------ temperature: 1.0, text {i} of 3" for i in (1, 2, 3)),
    ]
    assert err.startswith("textgen-run: error: found only 4 of 6 texts, because 1,000 drawn in a row")


def test_statistics_count_the_drawn_and_rejected_texts(capsys: Captured, tmp_path: Path) -> None:
    drawn = texts(200)
    (tmp_path / "corpus.txt").write_text("".join(drawn[:3]))
    known = [text for text in drawn if text in "".join(drawn[:3])]
    options = ("--count", "15", "--unique", "--novel", str(tmp_path / "corpus.txt"), "--stats")
    code, _, err = run(capsys, *SHORT, *options)
    assert code == 0
    last = drawn.index([text for text in dict.fromkeys(drawn) if text not in known][14])
    rejected = sum(text in known for text in drawn[: last + 1])
    assert err.splitlines()[-1] == (
        f"texts               15 of {last + 1} drawn; {last + 1 - 15 - rejected} repeat another text, "
        f"{rejected} stand in the corpus"
    )
    assert rejected > 3
    assert "texts  " not in run(capsys, *SHORT, "--stats")[2]


@pytest.mark.parametrize("length", [2, 30])
def test_no_text_that_occurs_in_the_corpus_is_printed(capsys: Captured, tmp_path: Path, length: int) -> None:
    drawn = texts(40, length)
    (tmp_path / "corpus.txt").write_text(f"before{drawn[0]}after\n{drawn[2]}{drawn[3]}")
    corpus = (tmp_path / "corpus.txt").read_text()
    options = (*SHORT, "--length", str(length), "--count", "5", "--separator", "|", "--no-echo")
    _, out, _ = run(capsys, *options, "--novel", str(tmp_path / "corpus.txt"))
    novel = [text for text in drawn if text not in corpus]
    assert out == "|".join(novel[:5]) + "\n"
    assert drawn[0] not in novel


def test_the_corpus_can_be_a_folder_or_a_named_corpus(capsys: Captured, tmp_path: Path) -> None:
    drawn = texts(20, 30)
    (tmp_path / "a.txt").write_text(drawn[0])
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.txt").write_text(drawn[1])
    options = (*SHORT, "--length", "30", "--separator", "|", "--no-echo", "--novel")
    assert run(capsys, *options, str(tmp_path))[1] == f"{drawn[2]}\n"
    assert run(capsys, *options, "python-docs")[1] == f"{drawn[0]}\n"


def test_the_corpus_is_normalized_as_the_texts_are(capsys: Captured, tmp_path: Path) -> None:
    """The tiny model was trained on lower case and composed characters, with line ends of one character."""
    prompt, drawn = "é", texts(300, 4, "é")
    accented = next(text for text in drawn if "é" in text)
    ended = next(text for text in drawn if "\n" in text.strip("\n"))
    for text in (accented, ended):
        number = drawn.index(text)
        changed = text.upper().replace("É", "E\u0301").replace("\n", "\r\n")
        (tmp_path / "corpus.txt").write_bytes(f"\ufeff-{changed}-".encode())
        options = ("--prompt", prompt, "--length", "4", "--temp", "1", "--seed", "1", "--json")
        _, out, _ = run(capsys, *options, "--count", "300", "--novel", str(tmp_path / "corpus.txt"))
        substreams = [json.loads(line)["substream"] for line in out.splitlines()]
        assert number not in substreams
        assert len(substreams) == 300


@pytest.mark.parametrize(("corpus", "lines"), [("abc x\n\nx", 1), ("abc x\nabc\n", 0), ("abc", 0)])
def test_a_corpus_of_which_the_vocabulary_has_no_line_is_a_warning(
    capsys: Captured, tmp_path: Path, corpus: str, lines: int
) -> None:
    (tmp_path / "corpus.txt").write_text(corpus)
    code, _, err = run(capsys, *SHORT, "--novel", str(tmp_path / "corpus.txt"))
    assert (code, err.count("\n"), err.count("'x'")) == (0, lines, lines)


def test_a_record_with_one_unknown_line_has_no_effect(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(record_content(kind="blank"))
    (tmp_path / "corpus.txt").write_text("ab\nx\n\nx\n")
    options = ("--novel", str(tmp_path / "corpus.txt"), "--seed", "1")
    code, _, err = run_here(main, capsys, str(tmp_path / "model.onnx"), *options)
    assert (code, err.count("'x'")) == (0, 1)


def test_lowercase_converts_the_corpus(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    drawn = texts(10, 30)
    (tmp_path / "corpus.txt").write_text(drawn[0].upper())
    options = (*SHORT, "--length", "30", "--no-echo", "--novel", str(tmp_path / "corpus.txt"))
    assert run_here(main, capsys, str(path), *options)[1] == f"{drawn[0]}\n"
    assert run_here(main, capsys, str(path), *options, "--lowercase")[1] == f"{drawn[1]}\n"


def test_a_line_is_compared_with_complete_lines(capsys: Captured, tmp_path: Path) -> None:
    """A part of a line of the corpus is new; a line is not."""
    drawn = lines(200)
    long = [line for line in drawn if len(line) > 3]
    parts = [line for line in drawn if line and line not in {long[0], long[1]} and line in long[0] + long[1]]
    assert parts
    (tmp_path / "corpus.txt").write_text(f"x\n{long[0]}\n{long[1]}")
    options = ("--prompt", "a\n", "--count", "100", "--no-echo", *LINES)
    code, out, _ = run(capsys, *options, "--novel", str(tmp_path / "corpus.txt"))
    printed = out.removesuffix("\n").split("|")
    assert code == 0
    assert printed == [line for line in drawn if line not in {"x", long[0], long[1]}][:100]
    assert parts[0] in printed


def test_the_prompt_since_its_last_line_end_belongs_to_the_line(capsys: Captured, tmp_path: Path) -> None:
    drawn = lines(10, "d\nab")
    assert len(set(drawn[:3])) == 3
    (tmp_path / "corpus.txt").write_text(f"ab{drawn[0]}\nd\nab{drawn[1]}\n{drawn[2]}\n")
    options = ("--prompt", "d\nab", "--no-echo", *LINES, "--novel", str(tmp_path / "corpus.txt"))
    assert run(capsys, *options)[1] == f"{drawn[2]}\n"


def test_a_kept_line_end_does_not_change_the_comparison(capsys: Captured, tmp_path: Path) -> None:
    drawn = lines(10)
    (tmp_path / "corpus.txt").write_text(f"{drawn[0]}\n-{drawn[1]}\n")
    options = ("--prompt", "a\n", "--no-echo", *LINES, "--keep-stop", "--novel", str(tmp_path / "corpus.txt"))
    assert run(capsys, *options)[1] == f"{drawn[1]}\n\n"


@pytest.mark.parametrize("options", [("--stop", r"\n", "--stop", "€"), ("--until-newline", "--length", "9")])
def test_a_text_that_may_not_be_a_line_is_searched_everywhere(
    capsys: Captured, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """It may have ended at another stop text, or at its length."""
    stop = ("\n", "€") if "€" in options else "\n"
    length = 9 if "9" in options else 400
    model = textgen.load(TINY)
    generations = [model.start("d", seed=5, substream=i, temperature=1.0, stop=stop) for i in range(50)]
    drawn = [generation.take(length, finish=True) for generation in generations]
    corpus = f"-{'-'.join(text for text in drawn[:6] if '€' not in text)}-"
    (tmp_path / "corpus.txt").write_text(corpus)
    expected = [
        text
        for text, generation in zip(drawn, generations, strict=True)
        if (generation.ending == "stop" and length == 9) or text not in corpus
    ]
    assert expected[0] != drawn[0] or expected[1] != drawn[1]
    arguments = ("--prompt", "d", "--temp", "1", "--seed", "5", "--count", "3", "--json", *options)
    _, out, _ = run(capsys, *arguments, "--novel", str(tmp_path / "corpus.txt"))
    assert [json.loads(line)["text"] for line in out.splitlines()] == expected[:3]


def test_max_copy_limits_the_parts_of_the_corpus(capsys: Captured, tmp_path: Path) -> None:
    likely = textgen.load(TINY).generate("abc", length=100, temperature=0)
    (tmp_path / "corpus.txt").write_text(likely, encoding="utf-8")
    options = ("--prompt", "abc", "--no-echo", "--length", "50", "--temp", "0")
    code, out, err = run(capsys, *options, "--novel", str(tmp_path / "corpus.txt"), "--max-copy", "7")
    model = textgen.load(TINY, novel=likely)
    assert (code, out, err) == (0, model.generate("abc", length=50, temperature=0, max_copy=7) + "\n", "")
    assert out[:7] == likely[:7]
    assert out[:8] != likely[:8]


@pytest.mark.parametrize(("length", "is_written"), [(7, False), (40, True)])
def test_only_a_text_that_may_be_a_copy_is_held_back_with_max_copy(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, is_written: bool
) -> None:
    """A longer text has a part that the corpus lacks, so it is written while it is drawn."""
    (tmp_path / "corpus.txt").write_text(textgen.load(TINY).generate("abc", length=7, temperature=0))
    looked_up, parts = list[str](), list[str]()
    has, write_part = CorpusLookup.has, TextWriter.write_part

    def look_up(corpus: CorpusLookup, text: str) -> bool:
        looked_up.append(text)
        return has(corpus, text)

    def write(writer: TextWriter, text: PendingText) -> None:
        parts.append(text.text)
        write_part(writer, text)

    monkeypatch.setattr(CorpusLookup, "has", look_up)
    monkeypatch.setattr(TextWriter, "write_part", write)
    monkeypatch.setattr(drawing, "MAX_REJECTED_IN_A_ROW", 3)
    monkeypatch.setattr(drawing, "STREAM_CHUNK", 1)
    options = ("--prompt", "abc", "--no-echo", "--temp", "0", "--max-copy", "7", "--length", str(length))
    code, out, _ = run(capsys, *options, "--novel", str(tmp_path / "corpus.txt"))
    assert (code, len(looked_up), len(parts) > 25) == ((0, 0, True) if is_written else (1, 3, False))
    assert len(out) == (length + 1 if is_written else 0)


def test_max_copy_needs_a_corpus(capsys: Captured) -> None:
    code, _, err = run(capsys, *SHORT, "--max-copy", "7")
    assert code == 1
    message = "--max-copy needs a corpus that texts must not copy: pass it as --novel"
    assert err == f"textgen-run: error: {message}\n"
