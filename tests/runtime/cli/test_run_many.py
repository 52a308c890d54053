"""``textgen-run`` with several texts: prompts from a file, the order of the texts, and the batch."""

import io
import itertools
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model
from textgen_runtime.cli import _requested_texts as series_module
from textgen_runtime.cli import _text_batch as drawing
from textgen_runtime.cli._requested_texts import PendingText, Series
from textgen_runtime.cli.run import main
from textgen_runtime.model import Batch, BatchChunk, Generation, feed_in_chunks
from textgen_runtime.model_file import PROMPTS_KEY

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY, TINY_INT8_TEXT
from tests.helpers.run_command import lines, run, tiny_with

NOVEL = ("--length", "60", "--stop", "b", "--novel", str(TINY_INT8_TEXT), "--max-copy", "3")
LINES = ("--until-newline", "--temp", "1", "--seed", "5", "--separator", "|", "--no-echo")


def test_each_line_of_a_file_is_a_prompt(capsys: Captured, tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffabc\r\n\n é\ndad".encode())
    code, out, err = run(capsys, "--prompts", str(path), "--length", "9", "--seed", "1")
    prompts = ["abc", " é", "dad"]
    texts = tiny.generate(prompts, length=9, seed=1)
    expected = zip(prompts, texts, strict=True)
    headed = [f"------ prompt {i} of 3\n{prompt}{text}\n" for i, (prompt, text) in enumerate(expected, 1)]
    assert (code, out, err) == (0, "".join(headed), "")


def test_each_prompt_gets_count_texts(capsys: Captured, tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    options = ("--prompts", str(tmp_path / "prompts.txt"), "--count", "2", "--length", "9", "--seed", "1")
    _, out, _ = run(capsys, *options, "--temp", "0.5", "1", "--no-echo")
    expected = []
    for temperature in (0.5, 1.0):
        texts = tiny.generate(["abc", "abc", "dad", "dad"], length=9, seed=1, temperature=temperature)
        for i, text in enumerate(texts):
            place = f"prompt {i // 2 + 1} of 2, text {i % 2 + 1} of 2"
            expected.append(f"------ temperature: {temperature}, {place}\n{text}\n")
    assert out == "".join(expected)


def test_prompts_from_standard_input(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    _, expected, _ = run(capsys, "--prompt", "dad", "--seed", "1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"dad\n")))
    assert run(capsys, "--prompts", "-", "--seed", "1") == (0, expected, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "{path} has no prompts: write one prompt on each line"),
        ("\ufeff\n\r\n", "{path} has no prompts: write one prompt on each line"),
        ("abc\n\nxyz\n", "{path}, line 3: not in the model's vocabulary: 'x' (U+0078), "),
    ],
)
def test_invalid_prompts_are_errors_before_the_first_text(
    capsys: Captured, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(content)
    code, out, err = run(capsys, "--prompts", str(path))
    assert (code, out) == (1, "")
    assert err.startswith(f"textgen-run: error: {message.format(path=path)}")
    assert err.count("\n") == 1


def test_skipped_characters_of_all_prompts_are_counted(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("axb\nabc\nxya\n")
    _, out, err = run(capsys, "--prompts", str(path), "--unknown", "skip", "--length", "4", "--separator", "")
    assert err == (
        "textgen-run: warning: 3 prompt characters are outside the vocabulary and were skipped: "
        "'x' (U+0078), 'y' (U+0079)\n"
    )
    assert out.startswith("ab")
    path.write_text("abc\nxy\n")
    code, out, err = run(capsys, "--prompts", str(path), "--unknown", "skip")
    assert (code, out) == (1, "")
    assert f"{path}, line 2: none of the characters of the prompt is in the vocabulary" in err


@pytest.mark.parametrize(
    "options",
    [
        ("--prompts", "-", "--novel", "-"),
        ("--prompt-file", "-", "--novel", "-"),
        ("--json-schema", "-", "--prompts", "-"),
        ("--json-schema", "-", "--interactive"),
        ("--prompt-file", "-", "--interactive"),
    ],
)
def test_standard_input_can_be_read_only_once(capsys: Captured, options: Sequence[str]) -> None:
    code, out, err = run(capsys, *options)
    assert (code, out) == (2, "")
    assert "standard input (-) can be read only once" in err


@pytest.mark.parametrize("division", [(1, 50, 1), (3, 1, 1), (64, 7, 3), (200, 50, 2)])
def test_the_output_does_not_depend_on_the_lanes_the_chunks_and_the_threads(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, division: tuple[int, int, int]
) -> None:
    lanes, chunk, threads = division
    (tmp_path / "known.txt").write_text("\n".join(lines(20, "a")))
    (tmp_path / "prompts.txt").write_text("a\nbd\nc\nd\nb\ne\n")
    prompts = ("--prompts", str(tmp_path / "prompts.txt"), "--count", "40")
    options = (*prompts, "--unique", "--novel", str(tmp_path / "known.txt"))
    expected = run(capsys, *options, *LINES)
    assert expected[0] == 0
    monkeypatch.setattr(drawing, "MAX_LANES", lanes)
    watch(monkeypatch, chunk)
    assert run(capsys, *options, *LINES, "--threads", str(threads)) == expected


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

    def recording(engine: Any, position: Any, tokens: list[int], *, restart: bool) -> None:
        fed.append(tokens)
        feed_in_chunks(engine, position, tokens, restart=restart)

    monkeypatch.setattr("textgen_runtime.model.feed_in_chunks", recording)
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    run(capsys, "--prompts", str(tmp_path / "prompts.txt"), "--count", "100", "--length", "5")
    tokenizer = textgen.load(TINY).tokenizer
    assert [tokenizer.decode(tokens) for tokens in fed] == ["abc", "dad"]


@pytest.fixture
def texts_in_memory(monkeypatch: pytest.MonkeyPatch) -> "WeakSet[PendingText]":
    """The texts that exist at any time."""
    texts: WeakSet[PendingText] = WeakSet()

    class Counted(PendingText):
        def __init__(self, series: Series, generation: Generation) -> None:
            super().__init__(series, generation)
            texts.add(self)

    monkeypatch.setattr(series_module, "PendingText", Counted)
    return texts


def test_written_texts_are_not_kept_in_memory(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, texts_in_memory: "WeakSet[PendingText]"
) -> None:
    alive: list[int] = []
    watch(monkeypatch, before=lambda _: alive.append(len(texts_in_memory)))
    run(capsys, "--count", "1000", "--length", "5")
    assert len(alive) == 16
    assert max(alive) <= 64


def test_texts_that_wait_for_an_unfinished_text_are_limited(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, texts_in_memory: "WeakSet[PendingText]"
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
    monkeypatch.setattr(drawing, "MAX_PENDING", 100)
    _, out, _ = run(capsys, "--prompt", "a\n", "--count", "500", *LINES)
    assert out == expected
    assert len({len(line) for line in expected.split("|")}) > 10
    assert max(waiting) == 100


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
    options = ("--until-newline", "--temp", "1", "--seed", "5", "--prompt", "a\n", "--count", "40")
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
        (8, 40, ("--until-newline", "--seed", "0", "--unique")),
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
    options = ("--until-newline", "--temp", "1", "--seed", "4", "--count", "10", "--separator", "|")
    assert run_here(main, capsys, str(path), *options) == (0, "|".join(expected) + "\n", "")
    _, out, _ = run_here(main, capsys, str(path), *options, "--prompt", "h")
    assert out.startswith("h")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["headings", "json"])
def test_a_text_that_cannot_continue_is_named_after_the_complete_ones(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tiny: Model, form: Sequence[str]
) -> None:
    start_text = Series.start_text

    def break_third(series: Series) -> PendingText:
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
