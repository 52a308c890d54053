"""The generator of texts: which texts are written, in which order, and what an interrupt leaves."""

import io
import itertools
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import textgen_runtime as textgen
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from textgen_runtime import Model
from textgen_runtime.cli import texts as generator
from textgen_runtime.cli.run import main
from textgen_runtime.cli.texts import Series, Text
from textgen_runtime.corpus import CorpusLookup
from textgen_runtime.model import Batch, BatchChunk, Generation, feed_in_chunks
from textgen_runtime.model_file import NORMALIZATION_KEY, PROMPTS_KEY

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY, TINY_INT8_TEXT
from tests.helpers.record_models import record_content
from tests.helpers.run_command import CASE_UNCHANGED, lines, run, tiny_with

NOVEL = ("--length", "60", "--stop", "b", "--novel", str(TINY_INT8_TEXT), "--max-copy", "3")
LINES = ("--stop", r"\n", "--temp", "1", "--seed", "5", "--separator", "|", "--no-echo")
SHORT = ("--prompt", "abc", "--length", "2", "--temp", "1", "--seed", "1")

END = "\n"
# A corpus of lines that the model often writes.
CORPUS = "\n".join(line for line in lines(60, "d\nab") if line)


class Drawn:
    """What the command should write: texts one after another, each an attempt with its own substream."""

    def __init__(self, prompts: Sequence[str], count: int, limit: int, options: dict[str, Any]) -> None:
        self.found: list[tuple[str, int, float, str]] = []
        self.rejected = 0
        model, seen = textgen.load(TINY), set[str]()
        for temperature, (number, prompt) in itertools.product((0.7, 1.5), enumerate(prompts)):
            accepted = in_a_row = 0
            for attempt in itertools.count():
                if accepted == count or in_a_row == limit:
                    break
                is_first = attempt < count
                substream = number * count + attempt if is_first else attempt * len(prompts) + number
                stop = options["stop"]
                one = model.start(prompt, seed=5, substream=substream, temperature=temperature, stop=stop)
                text = one.take(options["length"], finish=True)
                is_line = (stop == "\n" and one.ending == "stop") or (
                    text.endswith("\n") and one.ending != "length"
                )
                line = f"\n{prompt.rpartition(END)[2]}{text.removesuffix(END)}\n"
                known = line in f"\n{CORPUS}\n" if is_line else text in CORPUS
                if (options["novel"] and known) or (options["unique"] and text in seen):
                    in_a_row += 1
                    self.rejected += 1
                    continue
                seen.add(text)
                accepted, in_a_row = accepted + 1, 0
                self.found.append((prompt, substream, temperature, text))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompts=st.lists(st.sampled_from(["abc", "d\nab", "a\n", "é", "bed"]), min_size=1, max_size=4),
    count=st.integers(1, 9),
    options=st.fixed_dictionaries(
        {
            "length": st.sampled_from([1, 2, 9, 40]),
            "stop": st.sampled_from(["\n", "b", ()]),
            "unique": st.booleans(),
            "novel": st.booleans(),
        }
    ),
    lanes=st.sampled_from([1, 2, 5, 64]),
    steps=st.sampled_from([1, 3, 50]),
    pending=st.sampled_from([4, 1024]),
    threads=st.sampled_from(["1", "2"]),
)
def test_the_texts_are_those_that_are_drawn_one_after_another(  # noqa: PLR0913, PLR0917 (drawn by Hypothesis)
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    prompts: list[str],
    count: int,
    options: dict[str, Any],
    lanes: int,
    steps: int,
    pending: int,
    threads: str,
) -> None:
    """However many lanes, tokens in a chunk and threads there are."""
    prompts = [prompt.replace("\n", "") or "a" for prompt in prompts] if len(prompts) > 1 else prompts
    expected = Drawn(prompts, count, 6, options)
    event(f"rejected: {min(expected.rejected, 3)}")
    (tmp_path / "corpus.txt").write_text(CORPUS)
    (tmp_path / "prompts.txt").write_text("\n".join(prompts))
    given_prompts = (
        ("--prompt", prompts[0]) if len(prompts) == 1 else ("--prompts", str(tmp_path / "prompts.txt"))
    )
    arguments = ["--temp", "0.7", "1.5", "--count", str(count), "--length", str(options["length"])]
    arguments += ["--stop", options["stop"]] if options["stop"] else []
    arguments += ["--unique"] * options["unique"]
    arguments += ["--novel", str(tmp_path / "corpus.txt")] if options["novel"] else []
    with monkeypatch.context() as patched:
        patched.setattr(generator, "MAX_LANES", lanes)
        patched.setattr(generator, "MAX_PENDING", pending)
        patched.setattr(generator, "MAX_REJECTED_IN_A_ROW", 6)
        watch(patched, steps)
        code, out, err = run(
            capsys, *given_prompts, *arguments, "--seed", "5", "--json", "--threads", threads
        )
    found = [json.loads(line) for line in out.splitlines()]
    values = [
        (one["prompt"], one["substream"], one["sampling"].get("temperature"), one["text"]) for one in found
    ]
    assert values == expected.found
    is_short = len(values) < 2 * len(prompts) * count
    assert (code, err.count("\n")) == (is_short, is_short)


def test_statistics_count_the_drawn_and_rejected_texts(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text(CORPUS)
    options = {"length": 3, "stop": (), "unique": True, "novel": True}
    expected = Drawn(["abc"], 9, 1000, options)
    arguments = ("--count", "9", "--unique", "--novel", str(tmp_path / "corpus.txt"), "--stats")
    _, _, err = run(capsys, *SHORT, "--temp", "0.7", "1.5", "--seed", "5", "--length", "3", *arguments)
    found = re.search(
        r"texts +18 of (\d+) drawn; (\d+) repeat another text, (\d+) stand in the corpus\n$", err
    )
    assert found
    drawn, repeated, known = map(int, found.groups())
    assert (drawn, repeated + known) == (18 + expected.rejected, expected.rejected)
    assert repeated > 0 < known


def test_an_echoed_prompt_distinguishes_texts(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    options = ("--prompts", str(tmp_path / "prompts.txt"), "--choices", "e", "--unique", "--separator", "|")
    assert run(capsys, *options) == (0, "abce|dade\n", "")
    code, out, _ = run(capsys, *options, "--no-echo")
    assert (code, out) == (1, "e\n")


@pytest.mark.parametrize("keep", [(), ("--keep-stop",)])
def test_a_line_that_the_stop_text_cuts_short_stands_in_the_corpus(
    capsys: Captured, tmp_path: Path, keep: tuple[str, ...]
) -> None:
    options = ("--stop", "h\\n", "--temp", "2", "--prompt", "abc\n", "--seed", "1", "--count", "20", *keep)
    _, out, _ = run(capsys, *options, "--length", "60", "--json")
    known = {one["text"] for one in map(json.loads, out.splitlines()) if one["ending"] == "stop"}
    assert len(known) > 3
    (tmp_path / "corpus.txt").write_text("".join([text.removesuffix("h\n") + "h\n" for text in known]))
    _, out, _ = run(capsys, *options, "--length", "60", "--json", "--novel", str(tmp_path / "corpus.txt"))
    assert known.isdisjoint(json.loads(line)["text"] for line in out.splitlines())


def test_a_kept_line_end_does_not_change_the_comparison(capsys: Captured, tmp_path: Path) -> None:
    drawn = lines(10)
    (tmp_path / "corpus.txt").write_text(f"{drawn[0]}\n-{drawn[1]}\n")
    options = ("--prompt", "a\n", *LINES, "--keep-stop", "--novel", str(tmp_path / "corpus.txt"))
    assert run(capsys, *options)[1] == f"{drawn[1]}\n\n"


def texts(count: int, length: int = 2, prompt: str = "abc") -> list[str]:
    """Return texts of the substreams 0, 1, ..., at temperature 1."""
    return textgen.load(TINY).generate([prompt] * count, length=length, seed=1, temperature=1.0)


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
    drawn = texts(300, 4, "é")
    accented = next(text for text in drawn if "é" in text)
    ended = next(text for text in drawn if "\n" in text.strip("\n"))
    for text in (accented, ended):
        changed = text.upper().replace("É", "E\u0301").replace("\n", "\r\n")
        (tmp_path / "corpus.txt").write_bytes(f"\ufeff-{changed}-".encode())
        options = (*SHORT, "--prompt-file", str(tmp_path / "prompt"), "--length", "4", "--json")[2:]
        (tmp_path / "prompt").write_text("é")
        _, out, _ = run(capsys, *options, "--count", "300", "--novel", str(tmp_path / "corpus.txt"))
        substreams = [json.loads(line)["substream"] for line in out.splitlines()]
        assert drawn.index(text) not in substreams
        assert len(substreams) == 300


@pytest.mark.parametrize(
    ("kind", "corpus", "warned"),
    [
        (None, "abc x\n\nx", 1),
        (None, "abc x\nabc\n", 0),
        (None, "abc", 0),
        ("blank", "ab\nx\n\nx\n", 1),
    ],
)
def test_a_corpus_of_which_the_vocabulary_has_no_line_or_record_is_a_warning(
    capsys: Captured, tmp_path: Path, kind: Any, corpus: str, warned: int
) -> None:
    (tmp_path / "model.onnx").write_bytes(record_content(kind=kind) if kind else TINY.read_bytes())
    (tmp_path / "corpus.txt").write_text(corpus)
    options = ("--novel", str(tmp_path / "corpus.txt"), "--seed", "1", "--length", "4")
    code, _, err = run_here(main, capsys, str(tmp_path / "model.onnx"), *options)
    assert (code, err.count("\n"), err.count("'x'")) == (0, warned, warned)


def test_lowercase_converts_the_corpus(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    drawn = texts(10, 30)
    (tmp_path / "corpus.txt").write_text(drawn[0].upper())
    options = (*SHORT, "--length", "30", "--no-echo", "--novel", str(tmp_path / "corpus.txt"))
    assert run_here(main, capsys, str(path), *options)[1] == f"{drawn[0]}\n"
    assert run_here(main, capsys, str(path), *options, "--lowercase")[1] == f"{drawn[1]}\n"


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
    has, take = CorpusLookup.has, Text.take

    def look_up(corpus: CorpusLookup, text: str) -> bool:
        looked_up.append(text)
        return has(corpus, text)

    def taken(text: Text) -> str:
        parts.append(text.text)
        return take(text)

    monkeypatch.setattr(CorpusLookup, "has", look_up)
    monkeypatch.setattr(Text, "take", taken)
    monkeypatch.setattr(generator, "MAX_REJECTED_IN_A_ROW", 3)
    monkeypatch.setattr(generator, "STREAM_CHUNK", 1)
    options = ("--prompt", "abc", "--no-echo", "--temp", "0", "--max-copy", "7", "--length", str(length))
    code, out, _ = run(capsys, *options, "--novel", str(tmp_path / "corpus.txt"))
    assert (code, len(looked_up), len(parts) > 25) == ((0, 0, True) if is_written else (1, 3, False))
    assert len(out) == (length + 1 if is_written else 0)


def watch(
    monkeypatch: pytest.MonkeyPatch,
    steps: int | None = None,
    *,
    before: Callable[[Batch], object] = bool,
    after: Callable[[list[BatchChunk]], object] = bool,
) -> None:
    """Advance each batch by so many tokens, or as many as it would. Call functions before and after it."""
    advance = Batch.advance

    def watched(batch: Batch, chosen: int) -> list[BatchChunk]:
        before(batch)
        chunks = advance(batch, steps or chosen)
        after(chunks)
        return chunks

    monkeypatch.setattr(Batch, "advance", watched)


def interrupt(_: object) -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("prompts", [1, 5, 500])
def test_an_ended_text_makes_room_for_the_next_one(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prompts: int
) -> None:
    """While texts are left to start, no lane is idle at the start of a chunk."""
    (tmp_path / "prompts.txt").write_text("a\n" * prompts)
    sizes: list[int] = []
    watch(monkeypatch, 2, before=lambda batch: sizes.append(len(batch)))
    run(capsys, "--prompts", str(tmp_path / "prompts.txt"), "--count", str(500 // prompts), *LINES)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes.count(64) > len(sizes) / 2


def test_each_prompt_is_fed_once(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fed = []

    def recording(engine: Any, position: Any, tokens: list[int], *, restart: bool) -> Iterator[bool]:
        fed.append(tokens)
        return feed_in_chunks(engine, position, tokens, restart=restart)

    monkeypatch.setattr("textgen_runtime.model.feed_in_chunks", recording)
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    run(capsys, "--prompts", str(tmp_path / "prompts.txt"), "--count", "100", "--length", "5")
    tokenizer = textgen.load(TINY).tokenizer
    assert [tokenizer.decode(tokens) for tokens in fed] == ["abc", "dad"]


@pytest.fixture
def texts_in_memory(monkeypatch: pytest.MonkeyPatch) -> "WeakSet[Text]":
    """The texts that exist at any time."""
    texts: WeakSet[Text] = WeakSet()

    class Counted(Text):
        def __init__(self, series: Series, generation: Generation) -> None:
            super().__init__(series, generation)
            texts.add(self)

    monkeypatch.setattr(generator, "Text", Counted)
    return texts


def test_written_texts_are_not_kept_in_memory(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, texts_in_memory: "WeakSet[Text]"
) -> None:
    alive: list[int] = []
    watch(monkeypatch, before=lambda _: alive.append(len(texts_in_memory)))
    run(capsys, "--count", "1000", "--length", "5")
    assert len(alive) == 16
    assert max(alive) <= 65


def test_texts_that_wait_for_an_unfinished_text_are_limited(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, texts_in_memory: "WeakSet[Text]"
) -> None:
    """The first text takes longer than all others."""
    expected = "|".join(lines(500)) + "\n"
    waiting = []
    advance = Batch.advance
    first: list[Generation] = []

    def slow_first(batch: Batch, _: int) -> list[BatchChunk]:
        waiting.append(len(texts_in_memory))
        first[:] = first or list(batch)[:1]
        if first[0] not in set(batch) or len(batch) == 1:
            return advance(batch, 50)
        batch.remove(first[0])
        chunks = advance(batch, 50)
        batch.add(first[0], 400)
        return chunks

    monkeypatch.setattr(Batch, "advance", slow_first)
    monkeypatch.setattr(generator, "MAX_PENDING", 100)
    _, out, _ = run(capsys, "--prompt", "a\n", "--count", "500", *LINES)
    assert out == expected
    assert len({len(line) for line in expected.split("|")}) > 10
    assert max(waiting) <= 101


def test_a_text_is_written_while_it_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "abc" + textgen.load(TINY).generate("abc", length=40, seed=1)
    output, outputs = io.BytesIO(), list[str]()

    def read(_: Batch) -> None:
        sys.stdout.flush()
        outputs.append(output.getvalue().decode())

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, "utf-8"))
    watch(monkeypatch, 10, before=read)
    assert main([str(TINY), "--prompt", "abc", "--length", "40", "--seed", "1"]) == 0
    assert outputs == ["", text[:13], text[:23], text[:33]]


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("options", [(), ("--unique",)])
def test_an_interrupt_keeps_all_complete_texts(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, options: Sequence[str]
) -> None:
    """Also those that come after the first unfinished one. With --unique, that one is not written."""
    texts, order, ended = lines(40), list[Generation](), set[Generation]()

    def end(chunks: list[BatchChunk]) -> None:
        ended.update(chunk.generation for chunk in chunks if chunk.ending is not None)
        interrupt(chunks)

    watch(monkeypatch, 4, before=order.extend, after=end)
    code, out, err = run(capsys, "--prompt", "a\n", "--count", "40", *LINES, *options)
    assert (code, err) == (130, "")
    complete = [text for text, generation in zip(texts, order, strict=True) if generation in ended]
    assert 0 < len(complete) < 40
    written = out.removesuffix("\n").split("|")
    first = next(number for number, generation in enumerate(order) if generation not in ended)
    if options:
        assert written == list(dict.fromkeys(complete))
    else:
        assert written[:first] + written[first + 1 :] == complete
        assert texts[first].startswith(written[first])


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_does_not_change_the_numbers_of_texts(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--stop", r"\n", "--temp", "1", "--seed", "5", "--prompt", "a\n", "--count", "40")
    _, expected, _ = run(capsys, *options)
    watch(monkeypatch, 4, after=interrupt)
    code, out, _ = run(capsys, *options)
    assert code == 130
    whole = dict(re.findall(r"^------ (text \d+ of 40)\na\n(.*)\n", expected, re.MULTILINE))
    written = re.findall(r"^------ (text \d+ of 40)\na\n(.*)\n", out, re.MULTILINE)
    assert 1 < len(written) < 40
    assert all(whole[heading].startswith(text) for heading, text in written)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(
    ("calls", "count", "options"),
    [
        (8, 40, ("--stop", r"\n", "--seed", "0", "--unique")),
        # More texts are complete than are missing.
        (34, 20, ("--match", "[abcdeh]{1,2}|h{1,9}", "--seed", "0", "--unique")),
        # The texts are written while they are drawn.
        (8, 4, (*NOVEL, "--seed", "5")),
        # As many texts are complete after one that was written in part.
        (15, 4, (*NOVEL, "--seed", "1")),
    ],
)
def test_after_an_interrupt_selected_texts_are_numbered_up_to_their_count(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, calls: int, count: int, options: Sequence[str]
) -> None:
    done = itertools.count(1)

    def end(chunks: list[BatchChunk]) -> None:
        if next(done) == calls:
            interrupt(chunks)

    watch(monkeypatch, 2, after=end)
    code, out, _ = run(capsys, "--temp", "1", "--prompt", "a\n", "--count", str(count), *options)
    assert code == 130
    numbers = [int(number) for number in re.findall(r"^------ text (\d+) of", out, re.MULTILINE)]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert 1 < len(numbers) <= count


def test_a_line_begins_at_a_line_start_without_a_prompt(capsys: Captured, tmp_path: Path) -> None:
    """The excerpt is cut after its last line end, and not printed; without a line end, it is a line end."""
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_with(PROMPTS_KEY, '["dad\\nabc\\nhe", "abc"]'))
    loaded = textgen.load(path)
    expected = [
        loaded.start(prompt, seed=4, substream=i, temperature=1.0, stop="\n").take(400, finish=True)
        for i, prompt in enumerate(["dad\nabc\n", "\n"] * 5)
    ]
    options = ("--stop", r"\n", "--temp", "1", "--seed", "4", "--count", "10", "--separator", "|")
    assert run_here(main, capsys, str(path), *options) == (0, "|".join(expected) + "\n", "")
    _, out, _ = run_here(main, capsys, str(path), *options, "--prompt", "h")
    assert out.startswith("h")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["headings", "json"])
def test_a_text_that_cannot_continue_is_named_after_the_complete_ones(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tiny: Model, form: Sequence[str]
) -> None:
    start_text = Series.start_text

    def break_third(series: Series) -> Text:
        text = start_text(series)
        if text.number == 3:
            text.generation.logits = text.generation.logits * float("nan")
        return text

    monkeypatch.setattr(Series, "start_text", break_third)
    options = ("--prompt", "abc", "--length", "9", "--count", "5", "--seed", "1", "--temp", "1", *form)
    code, out, err = run(capsys, *options)
    assert code == 1
    assert err.startswith("textgen-run: error: text 3 of 5: the logits contain NaN")
    texts = tiny.generate(["abc"] * 5, length=9, seed=1, temperature=1)
    assert [out.count(text) for text in texts] == [1, 1, 0, 1, 1]
